"""The picture of notes."""

import struct
from fractions import Fraction
from io import BytesIO

import numpy as np
import pytest
from matplotlib import rcParams
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from music.roll import COLOURS, RollNote, chord_size, piano_roll, pitch_range, split
from numpyrnn import NumpyrnnError

KINDS = {"C": "chord tone", "S": "scale tone"}


def bars(n, length=4):
    return [(Fraction(length * i), Fraction(length)) for i in range(n)]


def picture(png):
    return imread(BytesIO(png))[..., :3]


def has(png, colour):
    return bool((np.abs(picture(png) - to_rgb(colour)).max(axis=2) < 0.01).any())


def note(onset, duration=1, pitch=60, kind=""):
    return RollNote(Fraction(onset), Fraction(duration), pitch, kind)


@pytest.mark.parametrize(
    ("n", "sizes"),
    [(1, [1]), (12, [4] * 3), (14, [4, 4, 4, 2]), (32, [8] * 4), (128, [8] * 16), (129, [9] * 14 + [3])],
)
def test_systems_have_four_to_eight_bars_and_large_pieces_more(n, sizes):
    systems = split(bars(n))
    assert [len(system) for system in systems] == sizes
    assert [bar for system in systems for bar in system] == bars(n)


def test_a_picture_is_a_png_of_one_width_and_the_same_each_time():
    music = [note(i, 1, 60 + i % 12, "CS"[i % 2]) for i in range(48)]
    chords = [(Fraction(4 * i), name) for i, name in enumerate(["F7", "Bb7", "N.C."] * 4)]
    png = piano_roll(music, bars(12), title="Blues", chords=chords, kinds=KINDS)
    assert png == piano_roll(music, bars(12), title="Blues", chords=chords, kinds=KINDS)
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    assert b"Software" not in png
    assert struct.unpack(">I", png[16:20]) == (1000,)


def test_notes_have_the_colour_of_their_kind_and_the_legend_all():
    coloured = [has(piano_roll([note(0, 4)], bars(1), title=""), colour) for colour in COLOURS[:3]]
    assert coloured == [True, False, False]
    png = piano_roll([note(0, 4, kind="S")], bars(1), title="", kinds=KINDS)
    assert [has(png, colour) for colour in COLOURS[:3]] == [True, True, False]


def test_a_note_goes_on_in_the_next_system_and_what_lies_outside_is_not_drawn():
    def columns_of_blue(notes):
        image = picture(piano_roll(notes, bars(8), title=""))
        blue = np.abs(image - to_rgb(COLOURS[0])).max(axis=2) < 0.01
        upper, lower = np.array_split(blue, 2)
        return upper.any(axis=0).sum(), lower.any(axis=0).sum()

    upper, lower = columns_of_blue([note(12, 12)])
    assert lower == pytest.approx(2 * upper, abs=6)  # the last of four bars, then two of the next four
    assert upper > 200
    assert columns_of_blue([note(-4, 3), note(32, 4)]) == (0, 0)


def test_bar_lengths_chord_names_and_titles_of_any_kind():
    uneven = [(Fraction(0), Fraction(1, 2)), (Fraction(1, 2), Fraction(3)), (Fraction(7, 2), Fraction(7, 4))]
    chords = [(Fraction(1, 2), "C$7$"), (Fraction(1), "C$7$"), (Fraction(2), "F♯m7♭5"), (Fraction(90), "C")]
    named = piano_roll([], uneven, title="5 $ and 6 $, 漢字", chords=chords)
    assert named != piano_roll([], uneven, title="5 $ and 6 $, 漢字", chords=[*chords[:2], *chords[3:]])
    same = piano_roll([], uneven, title="5 $ and 6 $, 漢字", chords=[chords[0], *chords[2:]])
    assert named == same  # a name is not repeated


def test_the_range_is_an_octave_and_a_half_or_what_the_notes_need():
    assert pitch_range([60]) == (51, 69)
    assert pitch_range([21, 108]) == (19, 110)
    assert pitch_range([]) == (57, 75)


def test_crowded_chord_names_get_smaller_letters_within_limits():
    names = [(Fraction(i), "Ebmaj7") for i in range(4)]
    sizes = [chord_size(names, width) for width in (0.01, 0.5, 5)]
    assert sizes == [5.5, pytest.approx(0.5 * 72 / 7 / 0.66), 9.5]
    assert chord_size([], 1) == 9.5


def test_bad_input_is_said():
    with pytest.raises(NumpyrnnError, match="at least 1 bar, got none"):
        piano_roll([], [], title="")
    with pytest.raises(NumpyrnnError, match="one of C, S, got 'X'"):
        piano_roll([note(0, kind="X")], bars(1), title="", kinds=KINDS)
    with pytest.raises(NumpyrnnError, match="at most 8 kinds of notes, got 9"):
        piano_roll([], bars(1), title="", kinds={str(i): "" for i in range(9)})


def test_a_picture_has_its_size_whatever_the_user_has_set(monkeypatch):
    usual = piano_roll([note(0)], bars(1), title="")
    monkeypatch.setitem(rcParams, "savefig.dpi", 50)
    assert piano_roll([note(0)], bars(1), title="") == usual
