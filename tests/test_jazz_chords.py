"""Chord symbols mean what musicians mean by them, in whatever spelling; what cannot be read is one clear error."""

import importlib
import random
import re
from dataclasses import replace
from fractions import Fraction
from itertools import permutations
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from music21.harmony import ChordSymbol

from jazz.changes import Changes
from jazz.chords import PROPOSED, QUALITIES, Chord, parse_chord
from jazz.grammar import Element
from jazz.playing.band import BASS, accompany
from jazz.playing.leadsheet import lead_sheet
from jazz.tokens import CONTEXTS, Place
from jazz.tunes import chord_elements
from numpyrnn import NumpyrnnError

ROOTS = {
    **{"C": 0, "C#": 1, "Db": 1, "D": 2, "D#": 3, "Eb": 3, "E": 4, "Fb": 4, "E#": 5, "F": 5, "F#": 6, "Gb": 6},
    **{"G": 7, "G#": 8, "Ab": 8, "A": 9, "A#": 10, "Bb": 10, "B": 11, "Cb": 11, "B#": 0, "F##": 7, "Bbb": 9},
}
DEGREES = {
    **{"1": 0, "b9": 1, "2": 2, "9": 2, "b3": 3, "#9": 3, "3": 4, "4": 5, "11": 5, "b5": 6, "#11": 6, "5": 7},
    **{"#5": 8, "b6": 8, "b13": 8, "6": 9, "bb7": 9, "13": 9, "b7": 10, "7": 11},
}
# What stands after a root, by what it is made of: the degrees of the major scale on the root, as textbooks have them.
# A space stands for nothing. Written from theory, not from the code.
TONES = {
    # triads
    "1 3 5": " | maj | M | ma | Maj | MAJ | major",
    "1 b3 5": "m | - | min | mi | MI | Min | minor | \N{MINUS SIGN} | \N{EN DASH}",
    "1 b3 b5": "dim | o | ° | º | 0 | mb5 | -b5 | m(b5) | m-5 | diminished | Dim",
    "1 3 #5": "aug | + | +5 | (#5) | maj#5 | M#5 | augmented | Aug | (5+)",
    "1 b3 #5": "m#5 | -#5 | maug | m+ | mi(#5) | m+5",
    "1 3 b5": "(b5) | Mb5 | maj(b5) | (5-)",
    "1 b3 5 b6": "mb6 | -b6 | m(b6) | min(addb6)",
    "1 5": "5 | no3 | omit3 | (no3) | (omit 3) | no3rd | no3d",
    "1 3": "no5 | (omit5)",
    "1 4 5": "sus4 | sus | SUS4 | SUS | Sus | suspended | (sus4) | m(sus4) | no3sus4",
    "1 2 5": "sus2 | (sus2) | SUS2",
    "1 2 4 5": "sus24 | sus2sus4 | sus42 | sus2/4",
    # sixths and additions to triads
    "1 3 5 6": "6 | maj6 | M6 | ma6 | MA6 | add6 | (add6) | add13 | Δ6 | ^6",
    "1 b3 5 6": "m6 | -6 | min6 | mi6 | MI6 | m(add6)",
    "1 3 5 6 9": "69 | 6/9 | 6(9) | 6,9 | maj6/9 | maj69 | M69 | M6/9 | ma6/9 | 6add9 | MA69",
    "1 b3 5 6 9": "m69 | m6/9 | -69 | min69 | -6/9 | mi6(9) | m6add9",
    "1 3 5 9": "add9 | add2 | 2 | (add9) | (add2) | Madd9 | majadd9 | /9",
    "1 b3 5 9": "madd9 | -add9 | mi(add9) | m(add9) | min(add2) | madd2",
    "1 3 5 11": "add11 | add4 | 4 | (add11)",
    "1 3 5 9 11": "add9add11 | (add9,11) | add11add9",
    "1 4 5 9": "sus4add9 | sus(add9)",
    "1 5 9": "5add9 | add9no3 | 2(no3)",
    "1 3 5 #11": "(#11) | add#11 | add#4 | (add#11)",
    "1 3 5 6 #11": "6#11 | 6(#11) | maj6#11",
    # major sevenths
    "1 3 5 7": "maj7 | ^7 | ^ | M7 | ma7 | MA7 | Maj7 | MAJ7 | j7 | Δ | Δ7 | ∆ | ∆7 | △ | △7 | major7 | 7M | (maj7)",
    "1 3 5 7 9": "maj9 | ^9 | M9 | ma9 | MA9 | Δ9 | ∆9 | maj7(9) | maj7add9 | 7M(9)",
    "1 3 5 7 9 11": "maj11 | M11 | ma11 | ^11 | maj9add11",
    "1 3 5 7 9 13": "maj13 | ^13 | M13 | ma13 | Δ13 | maj9(13)",
    "1 3 5 7 13": "maj7(13) | maj7add13",
    "1 3 5 7 #11": "maj7#11 | ^7#11 | M7#11 | maj7+11 | maj7(#11) | Δ#11 | Δ7(#11) | ma7(#11) | ∆7♯11",
    "1 3 5 7 9 #11": "maj9#11 | ^9#11 | M9(#11) | maj9(#11) | maj7#11add9 | maj7(9,#11)",
    "1 3 5 7 9 #11 13": "maj13#11 | M13(#11)",
    "1 3 #5 7": "maj7#5 | ^7#5 | M7#5 | maj7+5 | +maj7 | augmaj7 | +M7 | Δ#5 | maj7aug | maj7(#5) | +Δ | +j7",
    "1 3 b5 7": "maj7b5 | M7b5 | ^7b5 | Δb5 | maj7-5 | ma7(b5)",
    "1 3 #5 7 9": "maj9#5 | M9#5 | +maj9",
    "1 4 5 7": "maj7sus4 | M7sus | maj7sus | sus4maj7",
    "1 4 5 7 9": "maj9sus4 | maj9sus",
    "1 3 5 7 #9": "maj7#9",
    # minor chords with a seventh
    "1 b3 5 b7": "m7 | -7 | min7 | mi7 | MI7 | MIN7 | Min7 | minor7 | \N{MINUS SIGN}7 | \N{EN DASH}7 | (-7)",
    "1 b3 5 b7 9": "m9 | -9 | min9 | mi9 | MI9 | m7(9) | m7add9 | m7/9",
    "1 b3 5 b7 9 11": "m11 | -11 | min11 | mi11 | m9(11) | m7(9,11) | m9add11",
    "1 b3 5 b7 9 13": "m13 | -13 | mi13 | min13 | m9(13)",
    "1 b3 5 b7 11": "m7add11 | m7(11) | m7add4 | -7(add11) | m7/11",
    "1 b3 5 b7 13": "m7(13) | m7add13",
    "1 b3 #5 b7": "m7#5 | -7#5 | m7+5 | mi7(#5)",
    "1 b3 5 b7 b9": "m7b9 | -7b9 | m7(b9)",
    "1 b3 5 b7 #11": "m7#11",
    "1 b3 5 b7 b13": "m7b13 | m7(b13)",
    "1 b3 5 7": "mmaj7 | m^7 | -^7 | -maj7 | mM7 | -M7 | minmaj7 | m^ | -^ | m-maj7 | mΔ | mΔ7 | -Δ | -Δ7 | mimaj7"
    " | m/maj7 | m(maj7) | mi(MA7) | -j7 | mMaj7 | MI(MA7) | m#7 | m+7 | m7M | min(maj7) | -∆7 | mMA7 | m/M7",
    "1 b3 5 7 9": "mM9 | mmaj9 | -^9 | m/maj9 | m(maj9) | minmaj9 | -Δ9 | mΔ9",
    "1 b3 5 7 9 11": "mM11 | mmaj11",
    "1 b3 5 7 9 13": "mmaj13 | mM13",
    "1 b3 b5 b7": "m7b5 | -7b5 | ø | ø7 | h | h7 | min7b5 | mi7b5 | m7-5 | -7-5 | m7(b5) | Ø | Ø7 | ∅7"
    " | \N{MINUS SIGN}7♭5 | mi7(b5) | hdim7 | %7 | half-diminished | m7♭5 | m7(5-)",
    "1 b3 b5 b7 9": "m9b5 | -9b5 | h9 | ø9 | m7b5(9) | m7b5add9 | m9(b5)",
    "1 b3 b5 b7 9 11": "m11b5 | ø11 | h11 | -11b5",
    "1 b3 b5 b7 11": "m7b5(11) | ø7add11",
    "1 b3 b5 b7 b13": "m7b5b13 | ø7(b13)",
    # diminished chords with a seventh
    "1 b3 b5 bb7": "dim7 | o7 | °7 | º7 | 07 | Dim7 | DIM7 | diminished7",
    "1 b3 b5 bb7 9": "dim9 | o9 | °9 | dim7(9) | o7add9",
    "1 b3 b5 7": "dimmaj7 | o(maj7) | o^7 | oM7 | °M7 | dim(maj7) | mM7b5",
    "1 b3 b5 bb7 b13": "dim7b13 | o7(b13)",
    # dominants
    "1 3 5 b7": "7 | dom7 | dominant7 | (7)",
    "1 3 5 b7 9": "9 | 7(9) | 7/9 | dom9 | 7add9 | 7add2",
    "1 3 5 b7 9 13": "13 | 13no11 | 13(omit 11) | 9(13) | 7(9,13) | 9add13 | 7/9/13",
    "1 3 5 b7 13": "7(13) | 7add13 | 7/13",
    "1 3 5 b7 11": "7(11) | 7add11 | 7add4",
    "1 3 5 b7 b9": "7b9 | 7-9 | 7(b9) | 7♭9 | 7(9-) | 7flat9 | 7addb9 | 9b9 | 7/b9",
    "1 3 5 b7 #9": "7#9 | 7+9 | 7(#9) | 7♯9 | 7sharp9 | 7(9+)",
    "1 3 5 b7 b9 #9": "7b9#9 | 7#9b9 | 7(b9,#9)",
    "1 3 5 b7 #11": "7#11 | 7+11 | 7(#11) | 7#4",
    "1 3 5 b7 9 #11": "9#11 | 9+11 | 9(#11) | 7(9,#11) | 7#11(9)",
    "1 3 5 b7 9 #11 13": "13#11 | 13(#11) | 13+11 | 9#11(13)",
    "1 3 b5 b7": "7b5 | 7-5 | 7(b5) | 7(5-)",
    "1 3 #5 b7": "7#5 | 7+ | +7 | aug7 | 7+5 | 7aug | 7(#5) | 7aug5 | 7(5+) | augmented7",
    "1 3 b5 #5 b7": "7b5#5 | 7#5b5",
    "1 3 b5 b7 9": "9b5 | 9-5 | 9(b5) | 7b5(9)",
    "1 3 #5 b7 9": "9#5 | 9+ | +9 | aug9 | 9+5 | 9(#5) | 7#5(9)",
    "1 3 b5 b7 9 13": "13b5 | 13(b5) | 13-5",
    "1 3 #5 b7 9 13": "13#5 | +13",
    "1 3 5 b7 b13": "7b13 | 7(b13)",
    "1 3 5 b7 9 b13": "9b13 | 79b13 | 7(9,b13) | 13b13 | 7b13(9)",
    "1 3 5 b7 b9 b13": "7b9b13 | 7b13b9 | 7(b9,b13) | 7(b9/b13) | 7(b13)(b9) | 7 b9 b13 | 7(b9, b13)",
    "1 3 5 b7 #9 b13": "7#9b13 | 7b13#9",
    "1 3 5 b7 b9 #9 b13": "7b9#9b13",
    "1 3 5 b7 #11 b13": "7#11b13 | 7b13#11",
    "1 3 5 b7 #9 #11": "7#9#11 | 7#11#9 | 7(#9,#11)",
    "1 3 5 b7 b9 #11": "7b9#11 | 7#11b9",
    "1 3 5 b7 b9 #9 #11": "7b9#9#11",
    "1 3 #5 b7 #9": "7#9#5 | 7#5#9 | +7#9 | 7(#5,#9) | 7[#5,#9] | aug7#9 | 7+9+5 | 7+5+9 | 7+#9 | +7(#9)",
    "1 3 #5 b7 b9": "7b9#5 | 7#5b9 | +7b9 | aug7b9 | 7-9+5",
    "1 3 b5 b7 b9": "7b9b5 | 7b5b9 | 7-5-9 | 7-9-5 | 7(b5,b9)",
    "1 3 b5 b7 #9": "7#9b5 | 7b5#9",
    "1 3 b5 b7 b9 13": "13b5b9 | 13b9b5",
    "1 3 #5 b7 #11": "7#5#11 | 7#11#5 | +7#11",
    "1 3 #5 b7 9 #11": "9#5#11 | +9#11",
    "1 3 #5 b7 b9 #9": "7alt | alt | 7(alt) | 7#5b9#9 | Alt | altered | 7ALT",
    "1 3 5 b7 b9 13": "13b9 | 13(b9) | 7b9(13) | 7(b9,13) | 13-9",
    "1 3 5 b7 #9 13": "13#9 | 13(#9) | 7#9(13)",
    "1 3 5 b7 b9 #11 13": "13b9#11 | 13#11b9",
    "1 3 5 b7 #9 #11 13": "13#9#11",
    # suspended dominants
    "1 4 5 b7": "7sus4 | 7sus | sus7 | sus4/7 | 7(sus4) | 7SUS4 | m7sus4 | 7sus(no3) | 7no3sus",
    "1 4 5 b7 9": "9sus4 | 9sus | 11 | sus9 | 9(sus4) | 7sus4(9) | m9sus4",
    "1 4 5 b7 9 13": "13sus4 | 13sus | sus13 | 9sus4(13) | 13susno11",
    "1 4 5 b7 13": "7sus4(13) | 7sus(13) | 7susadd13",
    "1 4 5 b7 b9": "7susb9 | 7b9sus | 7sus4b9 | 7b9sus4 | 7sus4(b9) | susb9 | sus(b9) | 11b9",
    "1 4 5 b7 b9 13": "13susb9 | 13b9sus | 13sus4(b9) | 13b9sus4",
    "1 4 5 b7 b13": "7b13sus | 7susb13 | 7sus4(b13)",
    "1 4 5 b7 9 b13": "9susb13 | 9b13sus4",
    "1 4 5 b7 #9": "7sus#9 | 7#9sus4",
    "1 4 #5 b7": "7#5sus4 | 7sus4#5 | +7sus",
    "1 3 4 5 b7": "7susadd3 | 7sus4add3 | 7add3sus",
    "1 2 5 b7": "7sus2 | 7(sus2)",
    "1 2 4 5 b7": "7sus24 | 7sus2sus4",
    "1 5 b7": "7no3 | 7(no3) | 7omit3 | m7no3",
    "1 3 b7": "7no5 | 7(no5) | 7omit5",
    "1 5 b7 9": "9no3 | 9(omit3)",
    "1 3 b7 9": "9no5",
    "1 3 5 6 b7": "6/7 | 7/6 | 7add6",
}
# In the order of the Weimar Jazz Database, where the accidental of a 9, 11 or 13 follows it.
WEIMAR = {
    **{"1 3 5 b7 b9": "79b", "1 3 5 b7 #9": "79#", "1 3 5 b7 9": "79", "1 3 5 b7 9 11": "7911"},
    **{"1 3 5 b7 9 #11": "7911#", "1 3 5 b7 #9 #11": "79#11#", "1 3 5 b7 9 13": "7913", "1 3 5 b7 9 b13": "7913b"},
    **{"1 3 5 b7 b9 13": "79b13", "1 3 5 b7 #9 13": "79#13", "1 3 5 b7 b9 b13": "79b13b", "1 3 5 6 9 #11": "6911#"},
    **{"1 3 #5 b7 b9": "+79b", "1 3 #5 b7 #9": "+79#", "1 3 #5 b7 9": "+79", "1 3 #5 b7 9 #11": "+7911#"},
    **{"1 b3 5 b7 9": "-79", "1 b3 5 b7 b9": "-79b", "1 b3 5 b7 9 11": "-7911", "1 b3 5 b7 9 13": "-7913"},
    **{"1 b3 5 7 9 #11": "-j7911#", "1 b3 5 7 9 13": "-j7913", "1 3 5 7 9": "j79", "1 3 5 7 #9": "j79#"},
    **{"1 3 5 7 9 #11": "j7911#", "1 3 5 7 #9 #11": "j79#11#", "1 4 5 b7 9": "sus79", "1 4 5 b7 9 13": "sus7913"},
}


def table(rows):
    """What each spelling is made of, in semitones."""
    return {
        spelling.strip(" "): tuple(DEGREES[degree] for degree in degrees.split())
        for degrees, spellings in rows.items()
        for spelling in spellings.split(" | ")
    }


ORDINARY = table(TONES)
ORDERS = {"ordinary": ORDINARY, "weimar": ORDINARY | table(WEIMAR)}


def symbol_of(root, spelling):
    """A root and what stands after it; a sharp or flat at its beginning would be the root's without brackets."""
    return f"{root}({spelling})" if spelling[:1] in ("b", "#") else root + spelling


# tones


def test_a_symbol_has_the_tones_of_theory_over_every_root():
    assert len(ORDINARY) == sum(row.count(" | ") + 1 for row in TONES.values()) >= 590  # none stands twice
    for spelling, intervals in ORDINARY.items():
        for root, pitch_class in ROOTS.items():
            chord = parse_chord(symbol_of(root, spelling))
            expected = tuple((pitch_class + interval) % 12 for interval in intervals)
            assert (chord.tones, chord.root, chord.bass) == (expected, pitch_class, pitch_class), chord
            assert chord.played
            assert not chord.alternates


@pytest.mark.parametrize("spelling", table(WEIMAR))
def test_in_the_weimar_order_an_accidental_follows_its_number(spelling):
    assert parse_chord(f"C{spelling}", order="weimar").intervals == ORDERS["weimar"][spelling]


def test_the_two_orders_differ_where_both_can_be_read():
    assert parse_chord("C79b13").intervals == (0, 4, 7, 10, 2, 8)
    assert parse_chord("C79b13", "weimar").intervals == (0, 4, 7, 10, 1, 9)
    for symbol in ("C", "Dm7b5", "F#+7", "Eb-j7", "G7alt", "Ab7b9", "C7b9b13", "C9b5"):
        assert parse_chord(symbol, "weimar") == parse_chord(symbol)
    with pytest.raises(NumpyrnnError, match="must be ordinary or weimar, got 'x'"):
        parse_chord("C", "x")


# Spellings that music21 knows and reads as we do (to it "-" is a flat, and a thirteenth chord has an eleventh).
WITNESSED = (
    "|maj|M|m|min|dim|o|aug|+|5|sus4|sus|sus2|6|m6|min6|maj7|M7|M9|add9|m7|min7|m9|min9|m11|min11|mM7|minmaj7|m7b5"
    "|ø7|dim7|o7|7|dom7|9|7b9|7#9|7#11|9#11|7b5|7#5|7+|+7|7b13|7b9b13|7b9#5|7b9b5|7#9b5|7b9#11|7sus4|7sus"
)


@pytest.mark.parametrize("quality", WITNESSED.split("|"))
def test_a_chord_has_the_pitch_classes_that_music21_gives_it(quality):
    for root in ("C", "F#", "A"):
        expected = {pitch.pitchClass for pitch in ChordSymbol(root + quality).pitches}
        assert set(parse_chord(root + quality).tones) == expected


def test_every_row_of_the_table_is_spelled_by_the_grammar_too():
    assert len({quality.tones for quality in QUALITIES}) == len({quality.name for quality in QUALITIES}) == 11
    assert [ORDINARY[quality.name] for quality in QUALITIES] == [quality.tones for quality in QUALITIES]


PARTS = ("b5", "#5", "b9", "#9", "#11", "b13", "add13", "sus4", "no3", "no5", "add9", "alt")


def test_alterations_can_stand_in_any_order_with_or_without_brackets_and_commas():
    sets = [{"b9", "#11", "b13"}, {"#5", "#9"}, {"b5", "b9", "add13"}, {"sus4", "b9", "b13"}, {"no5", "#9", "#11"}]
    for parts in sets:
        joined = [
            (join, order) for join in ("{}", "({})", "{},", " {}", "/{}", "({}) ") for order in permutations(parts)
        ]
        joined = [
            (join, order) for join, order in joined if join != "/{}" or not any(part[:1] in "sn" for part in order)
        ]
        read = {parse_chord("C7" + "".join(join.format(part) for part in order)).tones for join, order in joined}
        assert len(read) == 1, read


# the rest of a symbol


def test_a_slash_chord_has_another_bass_and_the_same_tones():
    basses = {"Bb6/D": 2, "C/E": 4, "Dm7/C": 0, "F#m7b5/E": 4, "G7/Cb": 11, "C6/9/G": 7, "C6/9/E": 4, "C/F##": 7}
    for symbol, bass in (basses | {"C7/Bb": 10, "Cm/maj7/Eb": 3, "C7(b9)/E": 4, "C/D": 2, "Dm7♭5/A♭": 8}).items():
        chord = parse_chord(symbol)
        assert chord.bass == bass
        assert chord.tones == parse_chord(symbol.rsplit("/", 1)[0]).tones


@pytest.mark.parametrize(
    ("symbol", "plain"),
    [
        ("B♭7", "Bb7"),
        ("F♯m7♭5", "F#m7b5"),
        ("C△7", "C^7"),
        ("C∆", "Cmaj7"),
        ("C\N{MINUS SIGN}7", "C-7"),
        ("C\N{EN DASH}7", "C-7"),
        ("C\N{EM DASH}7", "C-7"),
        ("Cº7", "Cdim7"),
        ("C˚7", "Cdim7"),
        ("C⌀7", "Cm7b5"),
        ("C\N{NON-BREAKING HYPHEN}7", "C-7"),
        ("C\N{NO-BREAK SPACE}maj7", "Cmaj7"),
        ("\uff23\uff17", "C7"),  # full width
        ("\uff23\uff08♭\uff19\uff09", "C(b9)"),
        ("E♭︎maj⁷", "Ebmaj7"),
        ("\ufeffDm7\u200b", "Dm7"),
        ("Bflat7", "Bb7"),
        ("Fsharp m7", "F#m7"),
    ],
)
def test_look_alikes_of_pasted_text_are_read(symbol, plain):
    assert (parse_chord(symbol).tones, parse_chord(symbol).root) == (parse_chord(plain).tones, parse_chord(plain).root)


@pytest.mark.parametrize("symbol", ["N.C.", "NC", "N.C", "n.c.", "nc", "N. C.", "No Chord"])
def test_no_chord_has_no_tones(symbol):
    assert parse_chord(symbol) == Chord("N.C.", None, (), None)


@pytest.mark.parametrize(
    ("symbol", "played", "alternates"),
    [
        ("C7(Gm7)", "C7", "(Gm7)"),
        ("C7 (Gm7)", "C7", "(Gm7)"),
        ("Dm7b5(Cm/maj7/B)", "Dm7b5", "(Cm/maj7/B)"),
        ("C6/G(C6)", "C6/G", "(C6)"),
        ("C7(b9)(Gm7)", "C7b9", "(Gm7)"),
        ("C7(Gm7)(A7)", "C7", "(Gm7)(A7)"),
        ("C7(Gm7 Db7)", "C7", "(Gm7 Db7)"),
        ("C7(N.C.)", "C7", "(N.C.)"),
        ("C(Bb)", "C", "(Bb)"),
        ("C(Add9)", "Cadd9", ""),
        ("C7(Alt)", "C7alt", ""),
        ("C7(b9)", "C7b9", ""),
        ("C(No3)", "C5", ""),
    ],
)
def test_a_bracket_that_opens_with_a_root_is_shown_and_not_played(symbol, played, alternates):
    chord, plain = parse_chord(symbol), parse_chord(played)
    assert (chord.tones, chord.bass, chord.alternates) == (plain.tones, plain.bass, alternates)
    assert chord.played
    assert str(chord) == symbol


def test_a_symbol_all_in_brackets_is_only_shown():
    chord = parse_chord("(Eb7/G)")
    assert (chord.tones, chord.bass, chord.alternates, chord.played) == ((3, 7, 10, 1), 7, "(Eb7/G)", False)


# where chords are used


def test_every_chord_is_named_in_tokens_by_one_of_six_families():
    families = {"major", "dominant", "minor", "diminished", "augmented", "suspended"}
    for spelling in ORDINARY:
        (element,) = chord_elements([(0, parse_chord(symbol_of("F#", spelling)))])
        assert CONTEXTS["chord"](Place(0, element)) in families


def test_every_chord_is_voiced_walked_and_engraved_as_written():
    symbols = [symbol_of("Eb", spellings.split(" | ")[0].strip()) for spellings in TONES.values()]
    changes = Changes([[(0, parse_chord(symbol))] for symbol in symbols])
    for feel in ("swing", "straight"):
        notes = accompany(replace(changes, feel=feel), np.random.default_rng(1), ["piano", "bass"])
        for note in notes:
            early = note.track != BASS and note.onset % 4 == Fraction(7, 2)  # anticipates the next chord
            (_, chord) = changes.bars[min(int(note.onset // 4) + early, len(changes.bars) - 1)][0]
            added = {(chord.tones[0] + tone) % 12 for tone in (2, 5, 9)}
            assert note.track == BASS or note.pitch % 12 in {*chord.tones} | added, chord
    root = ElementTree.fromstring(lead_sheet("", [Element(Fraction(0), changes.end)], changes, 100))
    kinds = list(root.iter("kind"))
    assert ["Eb" + kind.get("text", "") for kind in kinds] == symbols
    assert "other" not in {kind.text for kind in kinds}


# what cannot be read


REFUSED = (
    "H7 c C77 Cm7b C/ C/H 7 C### C//9 C7/ /E C7(Gx) C10 C3 Cmaj7m C7m Cmm7 Cdimm C7b9natural9 C7b9(9) C7b9b9 C99 Csusb4"
    " Cmaj7b7 Cm5 C6b6 C6no6 C7no5#5 Cm7alt Cmaj7alt C7#13 C7b11 C7b3 C7maj7 Cno Cadd C|D D/C7 D/E/F C\\D CBlues"
    " C:maj7/3 Fs7 Es7 dm7 C7/g ♭7 () ( ~"
)


@pytest.mark.parametrize("symbol", [*REFUSED.split(), "", "C7 Gm7", "C\nD", "x" * 10_000, "C(C)" * 99, " "])
def test_a_wrong_symbol_is_refused_in_one_line(symbol):
    with pytest.raises(NumpyrnnError, match=r"^a chord must be like C, .* or N\.C\., got '.*': .") as error:
        parse_chord(symbol)
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("symbol", "message"),
    [
        ("Cmja7", "'a7' has no meaning there (the nearest is Cmaj7)"),
        ("dm7", "it must begin with a root, A to G (the nearest is Dm7)"),
        ("H7", "it must begin with a root, A to G (the nearest is B7)"),
        ("Ebmaj7x/Db", "(the nearest is Ebmaj7/Db)"),
        ("C7#13", "'#13' has no meaning (the nearest is C7b13)"),
        ("C77", "'7' stands twice (the nearest is C7)"),
        ("C7b9(9)", "it contradicts itself about the 9"),
        ("C7no5#5", "it contradicts itself about the 5"),
        ("D/C7", "it must be one chord; only a note can stand after a slash"),
        ("C" * 101, "it must have at most 100 letters"),
        ("C|D", "it must be one chord; only a note can stand after a slash"),
    ],
)
def test_an_error_says_what_is_wrong_and_names_the_nearest_symbol(symbol, message):
    with pytest.raises(NumpyrnnError, match=re.escape(message)):
        parse_chord(symbol)


def test_what_is_proposed_can_be_read():
    for spelling in PROPOSED:
        assert len(parse_chord(f"C{spelling}").tones) > 1


# corpora


@pytest.mark.parametrize(
    ("name", "order", "promised"), [("jazz-standards", "ordinary", 0.995), ("weimar", "weimar", 0.99)]
)
def test_the_symbols_of_a_corpus_are_read_and_have_the_tones_of_theory(shared_data, tell, name, order, promised):
    right = total = 0
    for line in (shared_data / "chords" / f"{name}.tsv").read_text("utf-8").splitlines()[1:]:
        count, symbol = line.split("\t")
        total += int(count)
        chord, written = parse_chord(symbol, order), re.sub(r"(?<=.)\([A-G].*\)$", "", symbol).strip("()")
        if written == "NC":
            right += int(count) * (chord.tones == ())
            continue
        root, spelling, bass = re.fullmatch(r"([A-G][#b]?)(.*?)(?:/([A-G][#b]?))?", written).groups()
        expected = (ROOTS[root], ORDERS[order].get(spelling), ROOTS[bass or root], not symbol.startswith("("))
        right += int(count) * ((chord.root, chord.intervals, chord.bass, chord.played) == expected)
    tell(f"{right:,} of {total:,} chord symbols of {name} have the tones of theory")
    assert right / total >= promised


def test_the_benchmark_computes_the_shares_of_both_corpora(shared_data, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "benchmarks"))
    share_read = importlib.import_module("chords").share_read
    assert share_read(shared_data / "chords" / "weimar.tsv", "weimar") == (1, {})
    assert share_read(shared_data / "chords" / "jazz-standards.tsv", "ordinary") == (1, {})
    (tmp_path / "some.tsv").write_text("# count, symbol\n3\tC7\n1\tC77\n", "utf-8")
    assert share_read(tmp_path / "some.tsv", "ordinary") == (0.75, {"C77": 1})


# any text


SNIPPETS = (
    "m min maj M - + dim o 0 ø h Δ ^ j aug sus sus2 alt add no omit 2 3 4 5 6 7 9 11 13 b # ♭ ♯ ♮ ( ) , / // | b5 #5"
    " b9 #9 #11 b13 /E /Bb (Gm7) (b9) N.C. dom x é ~ ､ \N{MINUS SIGN} \N{EN DASH}"
)


@pytest.mark.torture
def test_any_text_is_a_chord_or_one_error(rounds, tell):
    rng, read, snippets = random.Random(1), 0, [*SNIPPETS.split(), " ", "\t"]
    for _ in range(rounds(7_000, 100_000)):
        symbol = rng.choice([*ROOTS, "", "(C"]) + "".join(rng.choices(snippets, k=rng.randint(0, 5)))
        order = rng.choice(("ordinary", "weimar"))
        try:
            chord = parse_chord(symbol, order)
        except NumpyrnnError as error:
            lines = str(error).splitlines()
            chord = None
        if chord is None:
            assert len(lines) == 1, symbol
            continue
        if chord.root is None:
            continue
        read += 1
        assert chord.tones[0] == chord.root, symbol
        assert len(set(chord.tones)) == len(chord.tones), symbol
        assert {*chord.tones, chord.bass} <= set(range(12)), symbol
        assert len(chord.degrees) == len(chord.tones), symbol
        assert parse_chord(str(chord), order) == chord
    tell(f"{rounds(7_000, 100_000):,} texts of chord signs: {read:,} chords, the others one error each")
    assert read > 500


@pytest.mark.torture
def test_the_order_of_alterations_never_matters(rounds, tell):
    rng, read = random.Random(2), 0
    for _ in range(rounds(500, 20_000)):
        base = rng.choice(("C", "Cm", "C7", "Cm7", "Cmaj7", "C9", "C13", "C11", "Csus", "C6", "Cdim7", "C+7", "Cø"))
        parts, results = rng.sample(PARTS, rng.randint(2, 4)), set()
        for order in permutations(parts):
            try:
                results.add(parse_chord(base + "".join(f"({part})" for part in order)).tones)
            except NumpyrnnError:
                results.add("refused")
        assert len(results) == 1, (base, parts, results)
        read += results != {"refused"}
    tell(f"{rounds(500, 20_000):,} sets of alterations: {read:,} chords, in every order the same tones")
    assert read > 200
