"""The shipped data is what `data/README.md` says, byte for byte."""

import re
from hashlib import sha256
from pathlib import Path

DATA = Path(__file__).parents[1] / "data"
README = (DATA / "README.md").read_text("utf-8")


def digest(path):
    return sha256(path.read_bytes()).hexdigest()


def test_the_piano_files_are_those_that_are_named():
    named = dict(re.findall(r"^\| `([a-z0-9-]+\.mid)` .*\| `([0-9a-f]{64})` \|$", README, re.MULTILINE))
    assert {path.name: digest(path) for path in (DATA / "piano").iterdir()} == named
    assert len(named) == 10


def test_the_sonnets_are_the_text_that_is_named():
    assert digest(DATA / "sonnets.txt") == re.search(r"SHA-256: `([0-9a-f]{64})`", README)[1]


def test_the_sonnets_have_their_form():
    text = (DATA / "sonnets.txt").read_text("utf-8")
    sonnets = [sonnet.split("\n") for sonnet in text.rstrip("\n").split("\n\n")]
    assert len(sonnets) == 154
    assert {number: len(lines) for number, lines in enumerate(sonnets, 1) if len(lines) != 14} == {99: 15, 126: 12}
    assert len(set(text.lower())) == 38
    assert not any(line != line.rstrip() or re.fullmatch("[IVXLC]+", line) for lines in sonnets for line in lines)
    assert sonnets[17][0] == "Shall I compare thee to a summer's day?"


def test_every_file_is_named():
    shipped = [path.name for path in (*DATA.iterdir(), *(DATA / "models").iterdir()) if path.is_file()]
    assert all(f"{name}`" in README for name in shipped if name != "README.md")
