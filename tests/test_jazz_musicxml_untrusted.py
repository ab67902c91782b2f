"""Scores in MusicXML that are damaged, or made to do harm, are read or refused in one line, in bounded time."""

import random
import re
import time
import zipfile
from collections import Counter
from encodings.aliases import aliases

import pytest
from musicxml_samples import (
    archive,
    barline,
    compressed,
    degree,
    harmony,
    measure,
    note,
    part,
    score,
    sign,
    whole,
    words,
)

from jazz.changes import Changes
from jazz.charts import safexml
from jazz.charts.chart import Chart
from jazz.charts.musicxml import read_musicxml
from numpyrnn import NumpyrnnError

PLAIN = score(
    harmony("D", "minor-seventh", "m7") + note(2) + harmony("G", "dominant", "7", degree(9, -1)) + note(2),
    sign("segno") + barline('<repeat direction="forward"/>', "left") + harmony("C", "major-seventh", "Maj7"),
    barline('<ending number="1" type="start"/>', "left")
    + harmony("A", "dominant", "7", "<bass><bass-step>E</bass-step></bass>")
    + barline('<ending number="1" type="stop"/><repeat direction="backward"/>'),
    barline('<ending number="2" type="start"/>', "left") + words("To Coda", '<sound tocoda="c"/>'),
    harmony("F", "half-diminished", "", offset=1) + words("D.S. al Coda", '<sound dalsegno="s"/>'),
    sign("coda") + harmony("B", "diminished-seventh", "o7", alter=-1),
    head="<work><work-title>Test</work-title></work>",
)
DOCTYPE = (
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 4.0 Partwise//EN" "http://example.org/partwise.dtd"{}>'
)


def with_doctype(declarations=""):
    return PLAIN.replace(b"?>", b"?>" + DOCTYPE.format(declarations).encode(), 1)


def chords(content):
    return str(Changes.of(read_musicxml(content)))


EXPECTED = chords(PLAIN)


def refused(content):
    with pytest.raises(NumpyrnnError) as caught:
        read_musicxml(content)
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) < 500
    return str(caught.value)


def test_the_sample_is_read():
    assert EXPECTED == "Dm7 G7b9 | CMaj7 | A7/E | CMaj7 | CMaj7 | CMaj7 Fm7b5 | CMaj7 | CMaj7 | Bbo7"


# XML


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "ascii", "cp1252"])
def test_encodings(encoding):
    text = PLAIN.decode().replace("Test", "Tést" if encoding != "ascii" else "T&#233;st")
    named = text.replace("UTF-8", {"utf-8-sig": "UTF-8", "utf-16-le": "UTF-16"}.get(encoding, encoding))
    chart = read_musicxml(named.encode(encoding))
    assert chart.title == "Tést"
    assert str(Changes.of(chart)) == EXPECTED


@pytest.mark.parametrize(
    "name", [*sorted({*aliases.values()}), "undefined", "nothing", "rot13", "idna", "x" * 5000, ""]
)
def test_any_encoding_that_is_declared_is_read_or_refused(name):
    try:
        assert chords(PLAIN.replace(b"UTF-8", name.encode())) == EXPECTED
    except NumpyrnnError as error:
        assert "a score must be" in str(error)  # noqa: PT017


def test_a_doctype_is_allowed_and_nothing_is_fetched():
    assert chords(with_doctype()) == EXPECTED
    assert chords(with_doctype(" [ <!ELEMENT score-partwise ANY> ]")) == EXPECTED
    assert chords(PLAIN.replace(b"Test", b"a &lt; b &amp; &#99;")) == EXPECTED


@pytest.mark.parametrize(
    "declaration",
    [
        '<!ENTITY a "text">',
        '<!ENTITY a SYSTEM "file:///etc/passwd">',
        '<!ENTITY % a "text">',
        '<!ENTITY % a SYSTEM "http://example.org/a">',
        '<!ENTITY a SYSTEM "a.gif" NDATA gif>',
        '<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;">',
        '<!ATTLIST note a CDATA "text">',
    ],
)
def test_declared_entities_are_refused(declaration):
    for content in (with_doctype(f" [{declaration}]"), with_doctype(f" [{declaration}]").replace(b"Test", b"&c;")):
        assert "must not declare entities or attributes in its DOCTYPE" in refused(content)
        assert "must not declare entities" in refused(content.decode().replace("UTF-8", "UTF-16").encode("utf-16"))


def test_unknown_entities_are_refused_or_skipped():
    assert "undefined entity" in refused(PLAIN.replace(b"Test", b"&c;"))
    assert chords(with_doctype().replace(b"Test", b"&c;")) == EXPECTED  # the DTD, which is not read, may declare it


def test_a_namespace_and_its_prefix_do_not_matter():
    assert chords(PLAIN.replace(b"<score-partwise", b'<score-partwise xmlns="http://example.org/m"')) == EXPECTED
    prefixed = re.sub(rb"<(/?)(?=[a-z])", rb"<\1m:", PLAIN).replace(
        b"<m:score-partwise", b'<m:score-partwise xmlns:m="x"'
    )
    assert chords(prefixed) == EXPECTED


def test_comments_instructions_and_sections_do_not_matter():
    assert chords(PLAIN.replace(b"<note>", b"<!-- <harmony/> --><?x y?><note>")) == EXPECTED
    assert chords(PLAIN.replace(b">dominant<", b"><![CDATA[dominant]]><")) == EXPECTED


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no element found"),
        (b"hello", "syntax error"),
        (PLAIN[:-20], "unclosed token"),
        (PLAIN + b"<a/>", "junk after document element"),
        (PLAIN.replace(b"UTF-8", b"UTF-16"), "encoding"),
        (PLAIN.replace(b"Test", b"\xff\xfe"), "invalid token"),
        (PLAIN.replace(b"Test", b"\0"), "invalid token"),
        (b"<opus/>", "with the root score-partwise or score-timewise, got opus"),
        (b"<html><body/></html>", "got html"),
        (b"<score-partwise/>", "the score has no harmony elements"),
        (b"<score-partwise><part/></score-partwise>", "the score has no harmony elements"),
        (b"<score-timewise><measure/></score-timewise>", "the score has no harmony elements"),
        (b"<score-partwise>" + b"<a>" * 100_000, "at most 500,000 elements, and 50 in each other"),
        (b"<score-partwise>" + b"<a/>" * 500_000, "at most 500,000 elements"),
        (b"<score-partwise " + b'a="" ' * 500_001 + b"/>", "at most 500,000 attributes, got 500,001"),
        (b"<score-partwise>" + b" " * 20_000_000, "at most 20,000,000 bytes, got 20,000,016"),
        (whole(part("<measure/>" * 100_000, name="P1")), "the score has no harmony elements"),
        (score(harmony("C"), *["<measure/>"] * 10_000), "at most 10000 bars, the score has 10001 measures"),
    ],
)
def test_what_is_no_score_is_refused_in_one_line(content, told):
    assert told in refused(content)


# archives


def test_a_compressed_score_is_read():
    assert chords(compressed(PLAIN)) == EXPECTED
    assert chords(compressed(PLAIN, "folder/a b.xml")) == EXPECTED
    assert chords(archive(("score.xml", PLAIN))) == EXPECTED
    assert chords(archive(("a.musicxml", PLAIN), ("__MACOSX/a.musicxml", b"x"), ("a.png", b"x"))) == EXPECTED
    assert chords(archive(("mimetype", b"x"), ("a.xml", PLAIN), compression=zipfile.ZIP_STORED)) == EXPECTED


def test_the_container_says_which_member_is_the_score():
    container = (
        '<?xml version="1.0"?><!DOCTYPE container><container><rootfiles><rootfile full-path="b.xml" media-type="x"/>'
        '<rootfile full-path="a.pdf"/></rootfiles></container>'
    )
    assert chords(archive(("a.xml", b"x"), ("META-INF/container.xml", container), ("b.xml", PLAIN))) == EXPECTED


def encrypted(content):
    """A zip whose members are said to be encrypted."""
    changed = bytearray(content)
    for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        for found in re.finditer(re.escape(mark), content):
            changed[found.start() + at] |= 1
    return bytes(changed)


def claimed(content, size):
    """A zip whose last member is said to have another size."""
    at = content.rindex(b"PK\1\2") + 24
    return content[:at] + size.to_bytes(4, "little") + content[at + 4 :]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (archive, "a compressed score must"),
        (lambda: archive(("a.txt", b"")), "must hold one score, got none"),
        (lambda: archive(("a.xml", PLAIN), ("b.xml", PLAIN)), "must hold one score, got a.xml, b.xml"),
        (
            lambda: archive(("META-INF/container.xml", "<container/>"), ("a.xml", PLAIN)),
            "must hold one score, got none",
        ),
        (lambda: archive(("META-INF/container.xml", b"<a/>"), ("a.xml", PLAIN)), "with the root container, got a"),
        (
            lambda: compressed(PLAIN, "../../etc/score.xml"),
            "a plain name in its archive, got ../../etc/score.xml",
        ),
        (lambda: compressed(PLAIN, "/score.xml"), "must have a plain name"),
        (lambda: archive(("..\\a.xml", PLAIN)), "must have a plain name"),
        (lambda: compressed(PLAIN)[:-1], "zip"),
        (lambda: compressed(PLAIN)[:50], "zip"),
        (lambda: b"PK\3\4" + bytes(100), "zip with a short directory"),
        (lambda: encrypted(compressed(PLAIN)), "must not be encrypted, META-INF/container.xml is"),
        (lambda: encrypted(archive(("a.xml", PLAIN))), "must not be encrypted, a.xml is"),
        (lambda: archive(("a.xml", compressed(PLAIN))), "not well-formed"),
        (lambda: archive(("a.xml", bytes(20_000_001))), "at most 20,000,000 bytes unpacked, got 20,000,001"),
        (lambda: claimed(archive(("a.xml", bytes(50_000_000))), 1000), "zip"),
        (
            lambda: claimed(archive(("a.xml", PLAIN)), 0xFFFFFFF0),
            "at most 20,000,000 bytes unpacked, got 4,294,967,280",
        ),
        (lambda: archive(("a.xml", PLAIN), compression=zipfile.ZIP_LZMA), "must be stored or deflated"),
        (lambda: archive(*[(f"{i}.xml", b"") for i in range(5000)]), "zip"),
    ],
)
def test_what_is_no_compressed_score_is_refused_in_one_line(content, told):
    assert told in refused(content())


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_occurs_twice_is_refused():
    assert "a member occurs twice" in refused(archive(("a.xml", PLAIN), ("a.xml", PLAIN)))


def test_no_more_is_inflated_than_is_claimed(monkeypatch):
    monkeypatch.setattr(safexml, "MAX_BYTES", len(PLAIN))
    assert chords(compressed(PLAIN)) == EXPECTED
    monkeypatch.setattr(safexml, "MAX_BYTES", len(PLAIN) - 1)
    assert "bytes unpacked" in refused(compressed(PLAIN))


# scores that are made to take long


@pytest.mark.parametrize(
    "content",
    [
        score(
            harmony("C"),
            *[barline(f'<ending number="{1 + (i > 0)}" type="start"/>', "left") for i in range(9000)],
            barline('<ending number="99" type="start"/>', "left"),
        ),
        score(
            harmony("C"),
            *[f"<attributes><divisions>{16000 + i}</divisions></attributes>" + note(1) * 9 for i in range(2000)],
        ),
        score(
            harmony("C"),
            "".join(f"<attributes><divisions>{10007 + 2 * i}</divisions></attributes>{note(1)}" for i in range(3000)),
        ),
        score(*[harmony("C", "other", f"7{'b9' * (i % 7)}{i}") for i in range(3000)]),
        score("".join(harmony("C", "dominant", str(i)) for i in range(20_000))),
        score(harmony("C"), "".join(words("D.C." * 5000) + words("dal" * 9000 + "to" * 9000) for _ in range(20))),
        score(harmony("C", "dominant", "(" * 100_000), "<note " + " ".join(f'a{i}="1"' for i in range(50_000)) + "/>"),
        score(harmony("C"), "<note><duration>" + "9" * 1_000_000 + "</duration></note>"),
        score(harmony("C"), "<note><duration>0.000001</duration></note>" * 20_000),
        PLAIN.replace(b"Test", b"&#99;" * 500_000),
    ],
    ids=range(10),
)
def test_work_is_bounded(content):
    began = time.perf_counter()
    try:
        read_musicxml(content).played()
    except NumpyrnnError as error:
        assert len(str(error)) < 500  # noqa: PT017
    assert time.perf_counter() - began < 60  # hanging


def mutant(content, rng):
    """A score with bytes changed, elements dropped, doubled or exchanged, or numbers and words changed."""
    for _ in range(rng.randint(1, 4)):
        how, pieces = rng.choice([0, 1, 1, 1, 2, 2, 2, 2, 3, 4]), re.split(rb"(?=<)", content)
        at, other = rng.randrange(len(pieces)), rng.randrange(len(pieces))
        if how == 0:
            changed = bytearray(content)
            for _ in range(rng.randint(1, 3)):
                changed[rng.randrange(len(changed))] = rng.randrange(256)
            content = bytes(changed)
        elif how == 1:
            elements = [*re.finditer(rb"<([a-z-]+)[^<>/]*>[^<>]*(?:<[^<>]*>[^<>]*){0,9}?</\1>", content)]
            found = rng.choice(elements or [re.search(b"", content)])
            content = content[: found.start()] + found[0] * rng.choice([0, 0, 2, 50]) + content[found.end() :]
        elif how == 2:
            new = [
                b"0",
                b"-1",
                b"999999999",
                b"NaN",
                b"1e9",
                b"0.5",
                b"",
                b"3",
                b"16",
                str(rng.randrange(300)).encode(),
            ]
            content = re.sub(
                rb"(?<=[>\"])-?\d+(?=[<\"])",
                lambda m, new=new: rng.choice(new) if rng.random() < 0.1 else m[0],
                content,
            )
        elif how == 3:
            pieces[at], pieces[other] = pieces[other], pieces[at]
            content = b"".join(pieces)
        else:
            names = re.findall(rb"<([a-z-]+)", content) or [b"a"]
            content = content.replace(rng.choice(names), rng.choice(names), rng.choice([-1, 2]))
    return content


@pytest.mark.torture
def test_any_mutant_is_read_or_refused_in_one_line(rounds, tell):
    n, results, worst = rounds(300, 10_000), Counter(), 0.0
    halves = score(
        measure(harmony("G") + note(1), 0, ' implicit="yes"'),
        harmony("C"),
        measure(note(3), 2),
        measure(harmony("A") + note(1), 3),
    )
    for seed in range(n):
        rng = random.Random(seed)
        content = mutant(rng.choice([PLAIN, PLAIN, halves]), rng)
        if seed % 3 == 0:
            content = compressed(content)
        if seed % 6 == 0:
            content = mutant(content, rng)
        began = time.perf_counter()
        try:
            chart = read_musicxml(content)
            assert isinstance(chart, Chart)
            assert all(m.chords and m.chords[0][0] == 0 for m in chart.measures)
            results["read"] += 1
            chart.played()
        except NumpyrnnError as error:
            results["refused" if len(str(error).splitlines()) == 1 else "in several lines"] += 1
        worst = max(worst, time.perf_counter() - began)
    assert set(results) <= {"read", "refused"}
    assert results["read"] > n / 10
    assert worst < 60  # hanging
    tell(f"{n:,} mutants of MusicXML, a third of them compressed: {dict(results)}, the slowest {worst:.2f} s")
