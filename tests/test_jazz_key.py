"""Keys: as they are written, as they are estimated from chords, and what they call their notes."""

import pytest

from jazz.changes import FORMS, form, parse_changes
from jazz.charts.chart import fifths, parse_key
from jazz.charts.key import estimate_key, scale_names
from numpyrnn import NumpyrnnError

MAJOR_KEYS = [
    "Cb",
    "Gb",
    "Db",
    "Ab",
    "Eb",
    "Bb",
    "F",
    "C",
    "G",
    "D",
    "A",
    "E",
    "B",
    "F#",
    "C#",
]
MINOR_KEYS = ["Abm", "Ebm", "Bbm", "Fm", "Cm", "Gm", "Dm", "Am", "Em", "Bm", "F#m", "C#m", "G#m", "D#m", "A#m"]


@pytest.mark.parametrize(
    ("texts", "key"),
    [
        ("Bb | bb | B♭ | B flat | Bb major | B-flat major | BbM | Bbmaj | Bb Major | Bb mixolydian | Bb ", "Bb"),
        ("F#m | f#m | F# minor | F sharp minor | F♯ min. | F#- | F#m | F# MINOR", "F#m"),
        ("D minor | Dm | D- | dmin | D dorian | D aeolian", "Dm"),
        ("g | G | G major | GM | G ionian", "G"),  # no German habit: a small letter alone is major
        ("b | B", "B"),
        ("bm | B minor", "Bm"),
    ],
)
def test_a_key_is_read_as_musicians_write_it(texts, key):
    for text in texts.split(" | "):
        assert parse_key(text) == key, text
    assert parse_key(key) == key


@pytest.mark.parametrize(
    "text", ["", "H", "Bbb", "G#", "D#", "Fbm", "Dbm", "C dur", "Cm7", "F#mm", "minor", "C\nD", "x" * 999]
)
def test_what_is_no_key_is_refused_in_one_line(text):
    with pytest.raises(NumpyrnnError, match=r"a key must be like Bb, F#m, D minor or Eb major, .* got '.*'$") as error:
        parse_key(text)
    assert len(str(error.value)) < 200


def test_signatures_are_those_of_the_circle_of_fifths():
    for keys in (MAJOR_KEYS, MINOR_KEYS):
        assert [fifths(key) for key in keys] == list(range(-7, 8))
        assert [parse_key(key) for key in keys] == keys


def test_a_key_names_the_notes_of_its_scale():
    assert {*scale_names("Gb").values()} == {"Gb", "Ab", "Bb", "Cb", "Db", "Eb", "F"}
    assert scale_names("Gb")[11] == "Cb"
    assert scale_names("C#")[0] == "B#"
    for key in MAJOR_KEYS:
        names = scale_names(key)
        assert sorted(name[0] for name in names.values()) == [*"ABCDEFG"]
        assert sum(name.count("#") - name.count("b") for name in names.values()) == fifths(key)


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("Em", "E F# G A B C D C# D#"),
        ("Cm", "C D Eb F G Ab Bb A B"),
        ("Gm", "G A Bb C D Eb F E F#"),
        ("Ebm", "Eb F Gb Ab Bb Cb Db C D"),
        ("G#m", "G# A# B C# D# E F# E#"),  # without F double sharp
    ],
)
def test_a_minor_key_also_names_its_raised_sixth_and_seventh(key, names):
    assert {*scale_names(key).values()} == {*names.split()}


def test_the_shipped_forms_have_the_keys_of_their_titles():
    assert {name: form(name).key for name in FORMS} == {name: estimate_key(form(name)) for name in FORMS}


PROGRESSIONS = [  # well-known progressions, in the keys in which they are played
    ("C", "C | Am | F | G7"),
    ("G", "G | D | Em | C"),
    ("D", "D A | Bm F#m | G D | G A"),
    ("Am", "Am | G | F | E7"),
    ("Bb", "Bb7 | Eb7 | Bb7 | % | Eb7 | % | Bb7 | % | F7 | Eb7 | Bb7 | %"),
    ("G", "G7 | C7 | G7 | % | C7 | C#dim7 | G7 | E7 | Am7 | D7 | G7 E7 | Am7 D7"),
    ("Dm", "Dm7 | Gm7 | Dm7 | % | Gm7 | % | Dm7 | % | Bb7 | A7 | Dm7 | %"),
    ("F", "Fmaj7 | Em7b5 A7 | Dm7 G7 | Cm7 F7 | Bb7 | Bbm7 Eb7 | Am7 D7 | Abm7 Db7 | Gm7 | C7 | Fmaj7 D7 | Gm7 C7"),
    ("Gm", "Cm7 | F7 | Bbmaj7 | Ebmaj7 | Am7b5 | D7 | Gm6 | %"),
    ("Em", "Am7 | D7 | Gmaj7 | Cmaj7 | F#m7b5 | B7 | Em | %"),
    ("Eb", "Ebmaj7 | Cm7 | Fm7 | Bb7"),
    ("E", "Emaj7 | C#m7 | F#m7 | B7"),
    ("Cm", "Cm7 | % | Fm7 | % | Dm7b5 | G7 | Cm7 | % | Ebm7 | Ab7 | Dbmaj7 | % | Dm7b5 | G7 | Cm7 | Dm7b5 G7"),
    ("C", "Dm7 G7 | % | Em7 A7 | % | Am7 D7 | Abm7 Db7 | Cmaj7 | %"),  # begins on ii, ends with a tritone substitute
    ("C", "C6 | % | D7b5 | % | Dm7 | G7 | C6 | Dm7 G7"),
    ("F", "Fmaj7 | % | G7 | % | Gm7 | Gb7 | Fmaj7 | Gb7"),
    ("G", "Cmaj7 | % | Cm7 | F7 | Gmaj7 | % | Bbm7 | Eb7 | Am7 | D7 | Bm7 | E7 | A7 | % | Am7 D7 | G6"),  # begins on IV
    ("Db", "Bb7 | Eb7 | Ab7 | Dbmaj7 | Gbmaj7 B7 | Dbmaj7 | Bb7 | Eb7 Ab7"),  # a cycle of dominants
    ("Ebm", "Ebm Bbm7 | % | % | %"),
    ("Am", "Am6 E7 | Am6 E7 | Am6 | % | Dm | F7 | E7 | % | Am6 E7 | Am6 E7 | Am6 | D7 | Cmaj7 Am7 | D7 E7 | Am6 | %"),
    ("C", "Gm7b5 | C7 | Fm7 | % | Dm7b5 | G7 | Cmaj7 | %"),  # begins in the minor subdominant
    ("F#", "F#maj7 | G#m7 | C#7 | F#6"),
    ("Gb", "Gbmaj7 | Abm7 | Db7 | Gb6"),
    ("Ab", "F7 | % | Bb7 | % | Eb7 | % | Ab6 | % | F7 | % | Bb7 | % | Ab G7 | Gb7 F7 | Bb7 Eb7 | Ab"),
]


@pytest.mark.parametrize(("key", "text"), PROGRESSIONS)
def test_the_key_of_a_well_known_progression_is_found(key, text):
    assert estimate_key(parse_changes(text)) == key


@pytest.mark.parametrize("semitones", [1, 4, 6, 9])
def test_the_estimate_moves_with_the_chords(semitones):
    names = [root + sign for root, sign in zip("CDDEEFGGAABB", ["", "b", "", "b", "", "", "b", "", "b", "", "b", ""])]
    for key, text in PROGRESSIONS[:9]:
        moved = parse_changes(text)
        root = names.index(key.removesuffix("m"))
        words = []
        for bar in moved.bars:
            words.append(" ".join(names[(chord.root + semitones) % 12] + chord.parts[1] for _, chord in bar))
        expected = names[(root + semitones) % 12] + "m" * key.endswith("m")
        found = estimate_key(parse_changes(" | ".join(words)))
        assert fifths(found) % 12 == fifths(expected) % 12


def test_without_a_chord_the_key_is_c():
    assert estimate_key(form("blues-f")) == "F"
    changes = parse_changes("N.C. C")
    assert estimate_key(type(changes)([[change for change in changes.bars[0] if not change[1].tones]])) == "C"
