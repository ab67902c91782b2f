"""What the doctor advises can be done: each option that it names works as it says, for a file of any parts."""

import re
from fractions import Fraction

import numpy as np
import pytest
from click.testing import CliRunner

from jazz.cli import app
from jazz.reading.corpus import read_music, read_tunes
from jazz.reading.doctor import diagnose
from jazz.reading.tracks import choose
from music.midi import Midi, Note, read_midi, write_midi
from numpyrnn import NumpyrnnError

F = Fraction
NAMES = ("", "Lead", "Piano", "Sax", "Sax 2", "2", "pad", "Bass", "Drum kit")
NEXT = re.compile(r"  The next best is part (\d+), with -?[\d.]+(; that is close: (--\w+) (\d+) takes it instead.*)?\.")


def part(track, together, pitch=66, bars=8, **options):
    """A part in eighths or, with `together` above 1, in chords of so many notes."""
    step = F(1, 2) if together == 1 else F(1)
    notes = [
        Note(i * step, step, pitch + i % 5 + 4 * j, track=track, **options)
        for i in range(int(4 * bars / step))
        for j in range(together)
    ]
    return notes


def written(path, *parts, names=None):
    notes = sorted((note for notes in parts for note in notes), key=lambda note: (note.onset, note.track, note.pitch))
    write_midi(path, Midi(notes, names or [""] * len(parts)))
    return path


def told(path, **which):
    return list(diagnose(path, **which))


def chosen(lines):
    """The numbers of the melody's and the chords' parts in a report; None if the chords are estimated."""
    melody, chords = (next(line for line in lines if line.startswith(what)) for what in ("Melody: ", "Chords: "))
    found = re.match(r"Chords: part (\d+)", chords)
    return int(re.match(r"Melody: part (\d+)", melody)[1]), int(found[1]) if found else None


def check_advice(path, **which):
    """Check a report: each next best part is free, and each option does what is said of it. The number of options."""
    lines, followed = told(path, **which), 0
    melody, chords = chosen(lines)
    assert melody != chords
    drums = {int(line.split()[0]) for line in lines if re.match(r" +\d+ .*( drums |Drum kit)", line)}
    what = ""
    for line in lines:
        what = line[:6] if line[:6] in ("Melody", "Chords") else what
        if "The next best" not in line:
            continue
        best, hint, option, number = NEXT.fullmatch(line).groups()
        assert int(best) not in drums | {melody if what == "Chords" else chords if which.get("chords") else 0}
        if hint:
            assert (option, number) == (f"--{what.lower()}", best)
            then = told(path, **which | {what.lower(): number})
            assert any(re.match(rf"{what}: part {number}( .*)?, as you said\.", told) for told in then)
            assert not any("it has no chords" in left_out for left_out in then)
            new = chosen(then)
            assert new[what == "Chords"] == int(number)
            said = re.search(r"the chords are then (part (\d+)|estimated)", hint)
            if what == "Melody":
                assert new[1] == (chords if said is None else said[2] and int(said[2]))
            assert read_tunes([path], **which | {what.lower(): number})
            followed += 1
    return followed


def test_the_next_best_for_the_chords_is_not_the_melody(tmp_path):
    path = written(tmp_path / "two.mid", part(0, 1), part(1, 4, 50), names=["Lead", "Piano"])
    assert chosen(told(path)) == (1, 2)
    assert [NEXT.fullmatch(line)[1] for line in told(path) if "next best" in line] == ["2"]
    path = written(tmp_path / "three.mid", part(0, 2, 70), part(1, 3, 50), part(2, 3, 52))
    lines = told(path, melody="1")
    assert chosen(lines)[0] == 1
    assert lines[-3].startswith("  The next best is part ")
    assert "that is close: --chords " in lines[-3]
    assert check_advice(path, melody="1") == 1


def test_equal_parts_are_taken_and_offered_in_their_order(tmp_path):
    path = written(tmp_path / "equal.mid", *(part(track, 1) for track in range(3)))
    assert chosen(told(path)) == (1, None)
    assert [NEXT.fullmatch(line)[4] for line in told(path) if "next best" in line] == ["2"]


def test_a_melody_that_is_taken_from_the_chords_leaves_others_and_they_are_named(tmp_path):
    path = written(tmp_path / "swap.mid", part(0, 2, 66), part(1, 2, 64))
    assert chosen(told(path)) == (1, 2)
    (line,) = [line for line in told(path) if "next best" in line]
    assert line.endswith("--melody 2 takes it instead, and the chords are then part 1.")
    assert check_advice(path) == 1
    path = written(tmp_path / "lost.mid", part(0, 1, 60), part(1, 1, 68, program=66) + part(1, 2, 64, 6, program=66))
    assert chosen(told(path)) == (1, 2)
    (line,) = [line for line in told(path) if "next best" in line]
    assert line.endswith(", and the chords are then estimated.")
    assert check_advice(path) == 1


def test_no_advice_that_would_fail_in_these_bars(tmp_path):
    late = [note._replace(onset=note.onset + 16) for note in part(1, 1, bars=4)]
    path = written(tmp_path / "late.mid", part(0, 1), late)
    assert any("--melody 2 takes it" in line for line in told(path))
    assert not any("--melody" in line for line in told(path, to_bar=3))
    with pytest.raises(NumpyrnnError, match="the melody must have notes in bars 1 to 3"):
        told(path, melody="2", to_bar=3)
    chords = [note._replace(onset=note.onset + 16) for note in part(2, 3, 50, bars=4)]
    path = written(tmp_path / "comp.mid", part(0, 1), part(1, 3, 52, bars=4), chords)
    assert any("--chords 3 takes it" in line for line in told(path))
    assert not any("--chords" in line for line in told(path, to_bar=3))


def test_a_file_of_one_part_has_no_next_best_and_chords_of_its_melody(tmp_path):
    lines = told(written(tmp_path / "one.mid", part(0, 1)))
    assert not any("next best" in line for line in lines)
    assert "Chords: no part looks like them; they are estimated from the melody, bar by bar." in lines
    with pytest.raises(NumpyrnnError, match=r"must have a melody and chords, its only part is that of --chords 1$"):
        told(tmp_path / "one.mid", chords="1")


@pytest.mark.parametrize(
    ("melody", "chords"), [("1", "1"), ("lead", "1"), ("1", "Lead"), ("LEAD", "ead"), ("2", "piano")]
)
def test_one_part_for_both_is_refused_in_the_words_that_were_typed(tmp_path, melody, chords):
    path = written(tmp_path / "two.mid", part(0, 1), part(1, 4, 50), names=["Lead", "Piano"])
    message = f"two.mid: --melody and --chords must name two parts, got --melody {melody} and --chords {chords}, "
    for command in (["doctor"], ["train", "--epochs", "1", "-o", f"{tmp_path}/new/x.npz"]):
        done = CliRunner().invoke(app, [*command, str(path), "--melody", melody, "--chords", chords])
        assert isinstance(done.exception, NumpyrnnError)
        assert message in str(done.exception)
    with pytest.raises(NumpyrnnError, match=message.removeprefix("two.mid: ")):
        choose(read_midi(path), melody, chords)
    assert [file.name for file in tmp_path.iterdir()] == ["two.mid"]


def test_a_part_named_as_the_chords_is_not_found_as_the_melody(tmp_path):
    path = written(tmp_path / "two.mid", part(0, 1), part(1, 1, 60), names=["Lead", "Sax"])
    assert chosen(told(path, chords="lead")) == (2, 1)
    assert chosen(told(path, melody="2")) == (2, None)


def test_a_name_that_fits_several_parts_says_which(tmp_path):
    path = written(tmp_path / "sax.mid", part(0, 1), part(1, 1), part(2, 2), names=["Sax 1", "Sax 2", "Piano"])
    with pytest.raises(NumpyrnnError, match=r"3 'Piano'; got 'sax', which fits 1 'Sax 1' and 2 'Sax 2'$"):
        told(path, melody="sax")


def test_what_is_advised_for_the_shared_file_works(shared_data):
    path = shared_data / "original_metheny.mid"
    assert check_advice(path) == 1
    assert check_advice(path, melody="8") + check_advice(path, chords="3") + check_advice(path, to_bar=20) > 0


def test_for_a_chorus_which_is_learned_as_it_is_written_nothing_is_advised(tmp_path):
    bars = ["C | C7/4 r/4 r/4 r/4", *["C | r/4 r/4 r/4 r/4"] * 15]
    path = tmp_path / "high.txt"
    path.write_text("\n".join(["title: High", "form: high", "meter: 4/4", "tempo: 120", "feel: swing", *bars]))
    write_midi(tmp_path / "high.mid", read_music(path))
    assert any("--melody 1 takes it instead" in line for line in told(tmp_path / "high.mid"))
    assert not any("instead" in line for line in told(path))


@pytest.mark.torture
def test_what_is_advised_for_files_of_any_parts_works(tmp_path, rounds, tell):
    followed = reports = 0
    for seed in range(rounds(40, 400)):
        rng = np.random.default_rng(seed)
        parts = []
        for track in range(rng.integers(1, 6)):
            shape = {"together": int(rng.integers(1, 4)), "pitch": int(rng.integers(40, 72)), "bars": 4}
            notes = part(track, **shape, program=int(rng.integers(0, 100)), channel=int(rng.choice([0, 0, 0, 9])))
            parts.append([note._replace(onset=note.onset + 8 * int(seed + track) % 24) for note in notes])
        path = written(tmp_path / f"{seed}.mid", *parts, names=[str(rng.choice(NAMES)) for _ in parts])
        which = {"from_bar": 2, "to_bar": int(rng.integers(4, 9))} if seed % 3 == 0 else {}
        try:
            followed, reports = followed + check_advice(path, **which), reports + 1
        except NumpyrnnError as error:
            assert re.search("must have a melody|must have notes in bars|must lie in 1", str(error))  # noqa: PT017
    assert followed > reports / 10
    tell(f"{reports:,} reports on files of any parts: all {followed:,} options that they advise work as said")
