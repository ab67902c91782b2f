"""The lines of a typed chart in plain signs, without look-alikes, comments and decoration, and their tokens."""

from __future__ import annotations

import re
from itertools import islice

from ..chords import is_chord
from ..symbols import NO_WIDTH

SIGNS = {"𝄆": "|:", "𝄇": ":|", "𝄍": " / ", "𝄎": "%", "𝄏": "%%", "𝄉": " D.S. ", "𝄊": " D.C. ", "→": " ", "·": "."}
SIGNS |= (
    dict.fromkeys("│┃¦\u2223\u01c0❘┊𝄀\u23ae\u23d0\u258f\ufe31", "|")
    | dict.fromkeys("║‖∥𝄁𝄂𝄃", "||")
    | dict.fromkeys(NO_WIDTH, "")
)
LOOK_ALIKES = str.maketrans({chr(0xFEE0 + code): chr(code) for code in range(33, 127)} | SIGNS)  # full-width letters
PARTS = "intro|verse|chorus|bridge|solos?|interlude|outro|refrain|tag|vamp|head|theme|turnaround|instrumental|ending"
SECTION = rf"(?:{PARTS}|p(?:re|ost)[ -]?chorus|(?:section|part) \w+|[A-H] (?:section|part))\b(?: ?\d{{1,2}}\b)?"
LETTER = r"[A-Z][1-4]?'{0,3}"
COMMENT = re.compile(
    r"^(?:(?:#|;|//).*|(?=.*[-=_*~═─]{3})[-=_*~═─+|: ]+$|```\w*$"
    r"|\{ ?(?:c ?:|comment|start_of|end_of|[se]o\w\b).*\}$)"  # of ChordPro
    r"|(?<= )#(?= |$|(?!ma|mi|dim|sus|aug|add|alt|dom|no)[^\W\d_]{3}).*",
    re.IGNORECASE,
)
NAMED = re.compile(r"([^\W\d_][^|:=\[\]()]{0,39}?)( ?)[:=](?![|:]) ?(.*)")  # a field of the head, or a label
LABEL = re.compile(rf"{LETTER}|(?i:{SECTION}|coda|segno).*")
QUOTED = re.compile(r"^(?:> ?)+")  # in a mail
PLAIN = [  # what is written in other ways, and how the reader of charts has it
    (re.compile(r"^\{ ?(\w+ ?:.*)\}$"), r"\1"),  # ChordPro
    (re.compile(rf"^(?:[(<{{]|[-=*~]+) ?({LETTER}|(?i:{SECTION})) ?(?:[)>}}]|[-=*~]+)$"), r"[\1]"),
    (re.compile(rf"^({LETTER})(?:[.)]$|\)(?= ))"), r"[\1]"),
    (re.compile(r"\[(?=[|:])|(?<=[|:])\]"), "|"),
    (re.compile(r"(?<![^[|])first(?= ending\b)", re.IGNORECASE), "1st"),
    (re.compile(r"(?<![^[|])second(?= ending\b)", re.IGNORECASE), "2nd"),
]

# The tokens of a line, the first kind that fits.
END = r"(?![^\s|:])"  # the end of a word
ROOT = "[A-G](?!dd|lt|ug)"
WORD = r"(?:maj?|min?|m|add|omit|no)\d|(?:maj(?:or)?|min(?:or)?|dim|aug|sus|alt)\d*\b"  # goes on with C in C maj7
TIMES = r"[(\[]?(?:play(?:ed)? |repeat )?(?:[x\u00d7*] ?\d+|\d+ ?(?:[x\u00d7]|times))(?: times)?[)\]]?"
CAPO, DAL = r"d\. ?c\b\.?|dc\b\.?|da capo", r"d\. ?s\b\.?|ds\b\.?|dal? segno|d\.? ?[𝄋§]"
JUMP = rf"(?:{CAPO}|{DAL})(?:[ ,]*(?:al|to|till|until) ?[^\s|()\[\]]+(?: ?[𝄌⊕])?)?"
LEAVE = r"fine\b\.?|to ?(?:the )?(?:coda\b ?[𝄌⊕]?|[𝄌⊕])"
ARRIVE = r"[𝄋§](?: ?segno\b)?|segno\b|[𝄌⊕]? ?coda\b"
TOKENS = {
    "bar": r":? ?\|+(?: ?:(?! ?\|))?|::",
    "times": f"(?i:{TIMES}){END}",
    "meter": rf"\[?T?\d{{1,2}}/(?:16|1|2|4|8)\]?{END}",
    "ending": r"\(\d\)|\[?\d+(?:st|nd|rd|th)?(?:(?:\.? ?[,&\u2013-] ?|\.)\d+)*(?:[.:)\]]+|(?=[A-GN(%\s|]|$))"
    r"(?: ?(?i:ending|time)\b)?[\]):]*(?: ?[-_]{2,})?",
    "jump": rf"(?i:[(\[]?(?:{JUMP})[)\]]?){END}",
    "leave": rf"(?i:[(\[]?(?:{LEAVE})[)\]]?){END}",
    "arrive": rf"(?i:[(\[]?(?:{ARRIVE})[)\]]?:?){END}",
    "sign": "[𝄌⊕]",
    "label": rf"\[[^\[\]|]*\]:?|\*+[^*|\s]+\**|(?i:{SECTION}):?|{LETTER}:(?= [^|])",
    "hold": rf"(?:[/.]+|%{{1,2}}|[-\u2013\u2014]+){END}|[-\u2013\u2014](?={ROOT})",
    "chord": rf"(?:(?i:n\.? ?c\.|nc|no chord){END}|(?:\([^()|]*\)|:(?! ?\|)|(?![-\u2013\u2014,;]{ROOT})[^\s|:]"
    rf"|(?<=\d) (?=[#\u266f\u266d]|b\d)|(?<=[A-G]) (?=[#\u266f]m)| (?=(?i:{WORD})))+)[,;]*"
    rf"(?: (?!(?i:{TIMES}|\((?:{JUMP}|{LEAVE}|{ARRIVE})))\([^()|]*\))*",
}
JUMP_LIKE = re.compile(r"(?i:[(\[]?(?:d\.?[cs]\.|dal?\b|al\b|to\b|fin|coda|segno))")
CHORD_LIKE = re.compile(r"\(?[A-G](?:[#b♭♯(/+^ø-]|m(?![a-z]{2})|maj|dim|aug|sus|M|$|\S*\d)|[%/.-]+$|N\.?C")
MISTYPED = re.compile(r"[A-Ha-h](?:[#b]|i?s|es)?[majindusgo]{0,4}[^a-zA-Z]*|(?!.*(?:[^\W\d_]\.?){3}).*")  # not a title
TOKEN = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in TOKENS.items()))


def plain_lines(text: str) -> list[str]:
    """The lines of a text in plain signs, with single spaces; empty where there is nothing but a comment."""
    lines = []
    for line in text.translate(LOOK_ALIKES).splitlines():
        plain = COMMENT.sub("", QUOTED.sub("", " ".join(line.split()))).strip()
        for pattern, words in PLAIN:
            plain = pattern.sub(words, plain)
        lines.append(plain)
    return lines


def labelled(lines: list[str]) -> list[str]:
    """The lines, with single letters in brackets where they must be labels, A the first.

    They must be if the first stands before all bars, every line of bars ends with a bar line, each letter before a bar
    line has 2, 4 or 8 bars after it, and some lines begin with a bar line, or several with a letter.
    """
    letter = re.compile(rf"^({LETTER})(?= ?\||$)")
    bars = [line for line in lines if "|" in line]
    begun = [line for line in bars if letter.match(line)]
    enclosed = [line for line in bars if line[0] == "|"]
    even = all(line.replace("||", "|").count("|") in (3, 5, 9) for line in begun)
    first = next((line for line in lines if letter.match(line) or "|" in line), "")
    outside = first[:1] == "A" and (enclosed or begun[1:]) and even and len(enclosed) + len(begun) == len(bars)
    if not outside or not all(line.endswith(("|", "|:")) for line in bars):
        return lines
    return [letter.sub(r"[\1]", line) for line in lines]


def is_label(name: str) -> bool:
    """Whether a name in square brackets is a label, and not one chord or several."""
    return bool(LABEL.fullmatch(name)) or not all(map(is_chord, name.split()))


def is_words(line: str, below: bool) -> bool:
    """Whether a line without bar lines has words and not chords; below the first bar, more words than chords."""
    tokens = [(str(token.lastgroup), token[0]) for token in islice(TOKEN.finditer(line), 20)]
    words = [word for kind, word in tokens if kind == "chord" and (word[0] != "(" or word == tokens[0][1])]
    odd = [word for word in words if not CHORD_LIKE.match(word) and not is_chord(word)]
    chords = len(words) - len(odd)
    mistyped = line[0] == "[" or tokens[0][0] == "meter" or all(map(MISTYPED.fullmatch, odd))
    return not mistyped and len(odd) >= chords + below
