"""Charts typed as text: bars, repeats, endings, labels and jumps with signs that a keyboard has.

Lines become tokens (`lines.TOKEN`), and tokens become measures. docs/charts.md shows the whole notation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from music.files import naming
from numpyrnn import NumpyrnnError
from workbench.terminal import counted

from ..chords import Chord, parse_chord
from .chart import JUMPS, LONGEST, MAX_CHORDS, Change, Chart, Measure, bar_length, parse_meter, spread
from .head import FIELDS, WORDS, field_of, read_field
from .lines import CAPO, DAL, JUMP_LIKE, LABEL, NAMED, SECTION, TIMES, TOKEN, is_label, is_words, labelled, plain_lines

MAX_TEXT = 1_000_000  # characters
A_JUMP = f"a jump must be one of {', '.join(JUMPS)}, Fine, To Coda, Coda or Segno"
HOLD = ("/", "%", "-")  # within a bar
REPEATS = {"./.": "%", ".//.": "%%"}


def parse_chart(text: str, meter: tuple[int, int] | None = None) -> Chart:
    """Read a chart as musicians type it.

    Bars are separated by `|` or a new line, chords by spaces. An empty bar holds the last chord, `%` repeats the
    previous bar, and `/` holds the previous chord for another beat. `|: ... :|` is a repeat, `x3` after it says how
    often it is played, and `|1. ... :|2. ... |` are its endings. `[A]` is a label, `# ...` a comment. `D.C. al Fine`,
    `To Coda` and the like are jumps. Chords in brackets are alternates, which are shown and not played. Without any bar
    line, each chord is a bar. Lines such as `title: ...` and `meter: 3/4` may stand above the first bar.

    Parameters
    ----------
    text : str, such as "Dm7 G7 | Cmaj7 | %"
    meter : (beats, unit), optional; by default the meter that the text says, or else 4/4

    Returns
    -------
    Chart, which has a line about each guess

    Raises
    ------
    NumpyrnnError
        if something cannot be read (the error names its bar, and its line if there are several), the text says another
        meter, or there are over 10,000 bars, 64 chords in a bar or 1,000,000 characters
    """
    if len(text) > MAX_TEXT:
        raise NumpyrnnError(f"changes must have at most {MAX_TEXT} characters, got {len(text)}")
    plain = plain_lines(text)
    lines = labelled(plain)
    reader = _Reader(meter, len(lines) > 1)
    reader.barred = any("|" in line for line in lines)
    reader.guesses += ["letters outside of the bar lines are read as labels"] * (lines != plain)
    for reader.line, line in enumerate(lines, 1):
        reader.read_line(line)
    return reader.chart()


class _Reader:
    """Makes measures of the lines of a chart.

    Attributes
    ----------
    meter : (beats, unit)
    line, first : int, the line that is read, from 1, and the index of its first measure
    barred : bool, whether the text has bar lines
    head : dict, the fields above the first bar
    measures : list of Measure, so far
    words : list of str, the chords and held beats of the bar that is read
    opened : bool, whether there is nothing but a bar line, which begins no line, on the left of this bar
    before, after : dict, the signs for the next measure, and those that hold after the one that is read
    endings : tuple of int, the times through for which the next measures are played
    begun : int, the measure at which an open repeat begins, or None
    leaves : bool, whether there was a "To Coda"
    unbarred : list of int, the lines without bar lines and with several chords
    """

    def __init__(self, meter: tuple[int, int] | None, several_lines: bool) -> None:
        self.given, self.meter, self.several_lines = meter, meter or (4, 4), several_lines
        self.line, self.first, self.barred, self.opened, self.leaves = 0, 0, False, False, False
        self.measures: list[Measure] = []
        self.head, self.before, self.after = dict[str, Any](), dict[str, Any](), dict[str, Any]()
        self.words, self.guesses, self.unbarred = list[str](), list[str](), list[int]()
        self.endings: tuple[int, ...] = ()
        self.begun: int | None = None

    @property
    def ended(self) -> bool:
        """Whether a repeat ends with the last measure."""
        return bool(self.measures and self.measures[-1].ends)

    @property
    def where(self) -> str:
        """The place in the text, for errors."""
        return f"line {self.line}, " * self.several_lines + f"bar {len(self.measures) + 1}"

    def fail(self, expected: str, got: str) -> NumpyrnnError:
        """An error at this place."""
        return NumpyrnnError(f"{self.where}: {expected}, got {got[:40]!r}")

    # ------------------------------------------------------------------------------------------------------- lines

    def read_line(self, line: str) -> None:
        """Read a line: a field of the head, a title, or bars with or without a label before them."""
        line = self.read_name(line)
        if not line or ("|" not in line and self.several_lines and self.read_title(line)):
            return
        self.first = len(self.measures)
        for token in TOKEN.finditer(line):
            kind = str(token.lastgroup)
            if not self.barred and kind not in ("chord", "hold"):
                self.close()
            getattr(self, f"read_{kind}")(token[0])
            self.opened &= kind == "bar"
            if self.barred and len(self.words) > MAX_CHORDS:
                raise NumpyrnnError(f"{self.where}: a bar must have at most {MAX_CHORDS} chords")
        self.close()
        self.opened = False
        if 1 not in self.endings:
            self.endings = ()  # the last ending ends with its line
        chords = sum(len(measure.chords) for measure in self.measures[self.first :])
        if "|" not in line and (chords > 1 or (self.barred and line in "ABCDEFG")):
            self.unbarred.append(self.line)

    def read_name(self, line: str) -> str:
        """Read `name: ...` at the beginning of a line, a field of the head or a label, and return the rest."""
        name, space, rest = found.groups() if (found := NAMED.fullmatch(line)) else ("", "", "")
        if not name or (space and rest[:1] == "|" and not re.fullmatch(f"(?i:{SECTION})", name)):  # C : | is a repeat
            return line
        fields, at = ", ".join(FIELDS), f"line {self.line}"
        if field := WORDS.get(name.lower()):
            if self.measures or field in self.head:
                what = f"each field of the head ({fields}) must stand once and above the first bar"
                raise NumpyrnnError(f"{at}: {what}, got {line[:40]!r}")
            if field == "meter":
                self.read_meter(rest)
            elif rest:
                with naming(at):
                    self.head[field] = read_field(field, rest, self.guesses.append)
            return ""
        if rest and "|" not in rest and not LABEL.fullmatch(name):
            what = f"a name must be a label or a field of the head ({fields}), and a comment must begin with #"
            raise NumpyrnnError(f"{at}: {what}, got {line[:40]!r}")
        self.read_label(name)
        return str(rest)

    def read_title(self, line: str) -> bool:
        """Take a line of words above the first bar as a field of the head. Below it, such a line is an error."""
        field, value = field_of(line, self.head)
        if field not in ("tempo", "key") and not is_words(line, bool(self.measures)):
            return False
        if self.measures or self.before or not field:
            raise NumpyrnnError(f"line {self.line} must have chords, or # before a comment, got {line[:40]!r}")
        self.head[field] = read_field(field, value, lambda _: None)
        self.guesses.append(f"line {self.line}, {line[:40]!r}, is read as the {field}")
        return True

    # ------------------------------------------------------------------------------------------------------- tokens

    def read_hold(self, sign: str) -> None:
        """Read signs for held beats."""
        sign = REPEATS.get(sign, sign)
        self.words += [sign] if sign[0] == "%" else ["/" if sign[0] in "/." else "-"] * len(sign)

    def read_chord(self, word: str) -> None:
        """Read a chord, with held beats in C// and without the comma in C, G."""
        symbol = re.sub("^([A-G]) (?=#)", r"\1", word.rstrip(",;"))  # F #m7
        chord = symbol.rstrip("/")
        self.words += [chord] * bool(chord) + ["/"] * (len(symbol) - len(chord))

    def read_bar(self, sign: str) -> None:
        """Read a bar line, which may end or begin a repeat."""
        begins, ends, lines = sign.endswith(":"), sign.startswith(":"), sign.count("|")
        if self.opened and not self.words and not begins:
            if not self.measures:
                raise NumpyrnnError(f"{self.where} must begin with a chord, it is empty")
            self.words = ["/"]
            self.guesses += [f"bar {len(self.measures) + 1} is empty, it holds the chord before it"] * ends
        self.close()
        self.opened = not ends or begins
        if ends and (not self.measures or self.ended):
            raise self.fail("a repeat must have a bar before its end", sign)
        if begins and self.begun is not None and not ends:
            raise NumpyrnnError(f"a repeat must end before the next, bar {len(self.measures) + 1} begins a second")
        if ends:
            self.sign_last(ends=2)
            self.begun = None
        if begins:
            self.begun, self.before["begins"] = len(self.measures), True
        elif lines > 1 and not ends and self.measures:
            self.sign_last(double=True)
        self.guesses += [f"{sign[:8]} is read as a double bar line"] * (lines > 2)
        if begins or ends or lines > 1:
            self.endings = ()

    def read_times(self, sign: str) -> None:
        """Read how often a repeat is played, or a line without signs of repeats."""
        times, line = int(re.findall(r"\d+", sign)[0][:6]), self.measures[self.first :]
        whole = line and self.begun is None and not any(m.begins or m.ends or m.endings for m in line)
        if self.words or self.after or not (whole or self.ended) or not 1 <= times <= LONGEST:
            raise self.fail(f"how often a repeat is played, 1 to {LONGEST}, must stand after :| or a line", sign)
        if whole:
            self.measures[self.first] = replace(line[0], begins=True)
            where = f" in line {self.line}" * self.several_lines
            self.guesses.append(f"{sign}{where} is read as a repeat of the line")
        self.sign_last(ends=times)

    def read_meter(self, sign: str) -> None:
        """Read the meter, in the head or before the first bar."""
        with naming(self.where):
            meter = parse_meter(sign.strip("[T]"))
        if meter != self.meter and (self.given or self.measures or self.words):
            raise self.fail("a typed chart must have one meter, {}/{}".format(*self.meter), sign)
        self.meter = meter

    def read_ending(self, sign: str) -> None:
        """Read the number of an ending, such as `1.`, `[2` or `1-3.`."""
        ranges = re.findall(r"(\d+)(?:st|nd|rd|th)?(?:\.? ?[-\N{EN DASH}] ?(\d+))?", sign)
        numbers = [range(int(first[:6]), int((last or first)[:6]) + 1) for first, last in ranges]
        if sign[0] in "[(":
            self.close()
        misplaced = self.words or not self.barred or "endings" in self.before
        if misplaced or not all(some and 0 < some[0] <= some[-1] < 100 for some in numbers):
            raise self.fail("an ending must be like |1. or |1-3., at the beginning of a bar", sign)
        if self.endings or (self.measures and self.measures[-1].endings):
            self.begun = None
        signs = ((i, self.measures[i]) for i in range(len(self.measures) - 1, 0, -1))
        before = next((i for i, m in signs if m.endings or m.begins or m.section), 0)
        last = self.measures[before] if self.ended else Measure([])
        if last.endings and numbers[0][0] == last.endings[-1] + 1:  # the ending before this one has several lines
            self.measures[before:] = [replace(m, endings=last.endings) for m in self.measures[before:]]
        self.endings = self.before["endings"] = tuple(sorted({n for some in numbers for n in some}))

    def read_label(self, sign: str) -> None:
        """Read the label of a section."""
        name = sign.strip("[]*: ")
        if sign[0] == "[":
            self.close()
        if not name or self.words or len(name) > 40 or "section" in self.before or re.search(TIMES, name):
            raise self.fail("a label must be one short name before its bars, without a number of times", sign)
        if sign[0] == "[" and not is_label(name):
            raise self.fail("a label must not be a chord, and a chord must not stand in square brackets", sign)
        self.endings = ()
        self.before |= {name.lower(): True} if name.lower() in ("coda", "segno") else {"section": name}

    def read_jump(self, sign: str) -> None:
        """Read a jump such as `D.C. al Fine`."""
        sign = sign.strip("[()]")
        aim = re.sub(f"(?i:{CAPO}|{DAL})[ ,]*(?i:(?:al|to|till|until) ?)?", "", sign, count=1)
        aim = aim.lower().split(" ")[0].strip(".,")
        aims = {"": "", "fine": " al Fine", "fin": " al Fine", **dict.fromkeys(("coda", "𝄌", "⊕"), " al Coda")}
        if "jump" in self.after or aim not in aims:
            raise self.fail(A_JUMP, sign)
        self.after["jump"] = ("D.C." if re.match(f"(?i:{CAPO})", sign) else "D.S.") + aims[aim]

    def read_leave(self, sign: str) -> None:
        """Read `Fine` or `To Coda`."""
        name = "fine" if "fine" in sign.lower() else "to_coda"
        self.after[name], self.leaves = True, self.leaves or name == "to_coda"

    def read_arrive(self, sign: str) -> None:
        """Read `Coda` or `Segno`."""
        name = "coda" if "coda" in sign.lower() else "segno"
        if name in self.before:
            raise self.fail(f"a bar must have one {name}", sign)
        self.before[name] = True

    def read_sign(self, sign: str) -> None:
        """Read a coda sign without words: "To Coda" the first time, and "Coda" then."""
        self.guesses.append(f"{sign} at {self.where} is read as {'Coda' if self.leaves else 'To Coda'}")
        (self.read_arrive if self.leaves else self.read_leave)("coda")

    # ------------------------------------------------------------------------------------------------------- measures

    def sign_last(self, **signs: Any) -> None:
        """Give signs to the last measure."""
        self.measures[-1] = replace(self.measures[-1], **signs)

    def close(self) -> None:
        """End the bar that is read: at a bar line, at the end of a line, or before a sign if there are no bar lines."""
        words, self.words = self.words, []
        after, self.after = self.after, {}
        if "-" in words and all((word == "-") == (i % 2 == 1) for i, word in enumerate([*words, "-"])):
            words = words[::2]  # Dm7 - G7 - C
            self.guesses.append("dashes between chords are read as spaces")
        beats = len(words) if self.barred else self.meter[0] if {"/", "-"} & {*words[1:]} else 1
        if beats > 1 and len(words) % beats:
            what = f"without bar lines, chords and held beats must fill bars of {beats} beats"
            raise self.fail(what, " ".join(words))
        for i in range(0, len(words), beats or 1):
            self.add(words[i : i + beats])
        if after:
            if not self.measures or ("jump" in after and self.measures[-1].jump):
                raise self.fail("one jump, Fine or To Coda must stand in or after a bar", after.get("jump", "Fine"))
            self.sign_last(**after)

    def add(self, words: list[str]) -> None:
        """Add a measure, or two if it is `%%`."""
        back = len(words[0]) if words in (["%"], ["%%"]) else 0
        if back > len(self.measures):
            raise NumpyrnnError(f"{self.where} must name a chord, there is no bar before it for {words[0]} to repeat")
        bars = [measure.chords for measure in self.measures[-back:]] if back else [self.chords(words)]
        if len(self.measures) + len(bars) > LONGEST:
            raise NumpyrnnError(f"changes must have at most {LONGEST} bars, got more")
        for chords in bars:
            self.measures.append(Measure(chords, **{"endings": self.endings} | self.before))
            self.before = {}

    def chords(self, words: Sequence[str]) -> list[Change]:
        """The chords of a bar. A held chord appears once; alternates by themselves stand over a held chord."""
        slots: list[Chord] = []
        for word in words:
            if JUMP_LIKE.match(word):
                raise self.fail(A_JUMP, word)
            with naming(self.where):
                chord = None if word in HOLD else parse_chord(word)
            if chord and chord.played:
                slots.append(chord)
            elif slots or self.measures:
                held, shown = slots[-1] if slots else self.measures[-1].chords[-1][1], chord.alternates if chord else ""
                if held.alternates and not slots:  # they belong to the bar before
                    root, quality, bass = held.parts
                    held = parse_chord(root + quality + "/" * bool(bass) + bass or "N.C.")
                slots.append(replace(held, symbol=held.symbol + shown, alternates=held.alternates + shown))
            else:
                raise NumpyrnnError(f"{self.where} must begin with a chord, got {word!r}")
        changes = spread(slots, self.meter)
        return [change for i, change in enumerate(changes) if i == 0 or words[i] not in HOLD]

    # ------------------------------------------------------------------------------------------------------- the end

    def chart(self) -> Chart:
        """The chart, once all lines are read."""
        if self.before and self.measures:
            raise NumpyrnnError(f"a bar must follow every sign that begins one, none follows {', '.join(self.before)}")
        self.check_endings()
        if self.begun is not None and self.measures:
            self.sign_last(ends=2)
            self.guesses.append(f"the repeat from bar {self.begun + 1} has no end, it is read up to the last bar")
        lines = ", ".join(map(str, self.unbarred[:5])) + ", ..." * (len(self.unbarred) > 5)
        if lines and self.barred:
            self.guesses.append(f"a line without bar lines is read as one bar: line {lines}")
        elif lines:
            guess = f"{self.meter[0]} beats a bar" if any(m.chords[1:] for m in self.measures) else "1 chord a bar"
            self.guesses.append(f"{counted(len(self.measures), 'bar')}, {guess}")
        if (pickup := self.head.get("pickup", 0)) >= bar_length(self.meter):
            raise NumpyrnnError(f"a pickup must be shorter than a bar, got {pickup} quarters")
        chart = Chart(self.measures, self.meter, guesses=list(dict.fromkeys(self.guesses)), **self.head)
        chart.played()  # raises if a jump has no aim, or there is no chord
        return chart

    def check_endings(self) -> None:
        """See that endings come in turn and each but the last ends with a repeat sign."""
        before = Measure([])
        for i, measure in enumerate([*self.measures, Measure([])]):
            if measure.endings and not before.endings and (i == 0 or self.measures[i - 1].ends):
                what = "an ending must follow bars that are repeated, and numbers of bars are not read"
                raise NumpyrnnError(f"bar {i + 1}: {what}, got ending {measure.endings[0]}")
            after_first = before.endings <= measure.endings if before.endings else 1 in measure.endings
            if measure.endings and not (after_first and measure.endings[0] <= max(before.endings, default=0) + 1):
                raise NumpyrnnError(f"bar {i + 1}: endings must come in turn, got ending {measure.endings[0]}")
            if before.endings and measure.endings != before.endings and not before.ends:
                if not measure.endings and 1 in before.endings:
                    raise NumpyrnnError(f"bar {i}: the first ending must end with :|")
                if measure.endings:
                    self.measures[i - 1] = replace(before, ends=2)
                    self.guesses.append(f"ending {before.endings[0]} is read with :| at bar {i}")
            before = measure
