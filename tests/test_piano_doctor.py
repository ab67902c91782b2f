"""What is said about training data, and the picture of its frequencies."""

from collections import Counter
from fractions import Fraction

import matplotlib.image
import numpy as np
import pytest

from music.midi import Midi, Note, write_midi
from numpyrnn import NumpyrnnError
from piano import corpus
from piano.doctor import diagnose, plot_histogram
from workbench.files import data_path


def told(*paths, **options):
    return list(diagnose(paths, **options))


def write(path, pitches):
    """One quarter after the other; the third one from the last lasts longer."""
    notes = [Note(Fraction(i), Fraction(1 + (i == len(pitches) - 3)), pitch) for i, pitch in enumerate(pitches)]
    write_midi(path, Midi([*notes, Note(Fraction(99), Fraction(1), 60), Note(Fraction(99), Fraction(1), 64)]))


def table(lines, heading):
    """The rows below a heading, in words."""
    start = next(i for i, line in enumerate(lines) if line.startswith(heading)) + 1
    rows = [line.split() for line in lines[start:]]
    return rows[: next((i for i, row in enumerate(rows) if not row or row[0] in ("In", "A")), len(rows))]


@pytest.fixture(scope="module")
def of_shipped():
    return told(data_path("piano"))


def test_the_shipped_files_as_they_were_counted_elsewhere(of_shipped):
    assert "\nIn all, 8,686 tokens, 304 of them different (single notes: 59, chords: 245)." in of_shipped
    rows = {row[0]: row[1:5] for row in table(of_shipped, "min-count")}
    assert list(rows) == ["1", "2", "5", "10", "20", "50", "100", "200"]
    assert rows["50"] == ["55", "5,430", "63%", "5,110"]
    assert rows["20"][:1] == ["118"]
    assert rows["1"] == ["304", "8,686", "100%", "8,366"]
    pieces = table(of_shipped, "piece")
    assert len(pieces) == 10
    assert pieces[-1] == ["the-entertainer", "972", "93", "72%", "F2", "to", "E6"]


def test_the_chosen_min_count_is_a_marked_row(of_shipped):
    assert [line.split()[0] for line in of_shipped if line.endswith("<")] == ["50"]
    lines = told(data_path("piano"), min_count=30, window=100)
    assert [line.split()[0] for line in lines if line.endswith("<")] == ["30"]
    assert "A window is 100 tokens of a piece and the next one." in lines


def test_a_small_folder_in_full(tmp_path):
    write(tmp_path / "a.mid", [62, 62, 62, 67, 62])
    write(tmp_path / "b.mid", [67, 62])
    (tmp_path / "c.mid").write_bytes(b"no music")
    (tmp_path / "d.mid").write_bytes((tmp_path / "b.mid").read_bytes())
    assert told(tmp_path, min_count=3, window=2) == [
        "piece  tokens  different  chords  single notes",
        "a           6          3     17%  D4 to G4",
        "b           3          3     33%  D4 to G4",
        "\nNot used, 2:",
        f"  {tmp_path}/c.mid must be a MIDI file and begin with 'MThd', it begins with 'no m'",
        f"  {tmp_path}/d.mid must differ from the other files, it is the same as {tmp_path}/b.mid",
        "\nIn all, 9 tokens, 3 of them different (single notes: 2, chords: 1).",
        "",
        "min-count  different    tokens  share   windows  with rhythm",
        "        1          3         9   100%         5            8",
        "        2          3         9   100%         5            7",
        "        3          1         5    56%         2            6  <",
        "        5          1         5    56%         2            6",
        "       10          0         0     0%         0            0",
        "       20          0         0     0%         0            0",
        "       50          0         0     0%         0            0",
        "      100          0         0     0%         0            0",
        "      200          0         0     0%         0            0",
        "A window is 2 tokens of a piece and the next one.",
        "With rhythm: different tokens with rhythm, if common names and rhythms replace rare ones.",
    ]


def test_it_is_said_when_nothing_can_be_learned(tmp_path):
    write(tmp_path / "a.mid", [62] * 9)
    hint = "With a min-count of 9 nothing can be learned: take a smaller one, or more files."
    assert told(tmp_path, min_count=9, window=9)[-1] == hint
    assert hint not in told(tmp_path, min_count=9, window=8)
    assert "nothing can be learned" not in told(tmp_path, min_count=1, window=9)[-1]  # the hint works


def test_a_smaller_window_is_advised_where_a_smaller_count_would_not_help(tmp_path):
    write(tmp_path / "a.mid", [62] * 9)
    hint = "With a min-count of 9 nothing can be learned: take a smaller window, or longer pieces."
    assert told(tmp_path, min_count=9, window=30)[-1] == hint
    assert "nothing can be learned" in told(tmp_path, min_count=1, window=30)[-1]


def test_a_piece_of_chords_has_no_lowest_note(tmp_path):
    notes = [Note(Fraction(i), Fraction(1), pitch) for i in range(3) for pitch in (60, 64)]
    write_midi(tmp_path / "a.mid", Midi(notes))
    assert told(tmp_path)[1].split() == ["a", "3", "1", "100%", "none"]


def test_the_cache_is_used(tmp_path, monkeypatch):
    write(tmp_path / "a.mid", [62] * 9)
    first = told(tmp_path, cache=tmp_path / "cache.json")
    monkeypatch.setattr(corpus, "parse_midi", lambda *_: pytest.fail("a file was parsed"))
    assert told(tmp_path, cache=tmp_path / "cache.json") == first


@pytest.mark.parametrize("name", ["min_count", "window"])
def test_numbers_are_checked(name):
    with pytest.raises(NumpyrnnError, match=f"{name} must be a whole number of at least 1, got 0"):
        told(data_path("piano"), **{name: 0})


def test_nothing_to_describe_is_an_error(tmp_path):
    with pytest.raises(NumpyrnnError, match="that can be used, it holds none"):
        told(tmp_path)


# the picture


def picture(path, counts, min_count):
    plot_histogram(counts, path, min_count)
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    return matplotlib.image.imread(path)


COUNTS = {"C4": 300, "D4": 60, "E4": 7, "F4": 1, "G4": 1}


@pytest.mark.parametrize("counts", [{"C4": 1}, COUNTS, Counter({str(i): 1 + 9000 // (i + 1) for i in range(4000)})])
def test_the_picture_is_a_png_with_something_on_it(tmp_path, counts):
    image = picture(tmp_path / "a.png", counts, 50)
    assert image.shape[:2] == (630, 1650)  # 11 by 4.2 inches of 150 dots
    assert (image != image[0, 0]).any(axis=2).mean() > 0.01


def test_the_same_counts_are_the_same_bytes_and_others_are_not(tmp_path):
    first = picture(tmp_path / "a.png", COUNTS, 50)
    picture(tmp_path / "b.png", dict(reversed(COUNTS.items())), 50)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert b"tIME" not in (tmp_path / "a.png").read_bytes()
    for counts, min_count in ((COUNTS, 20), ({**COUNTS, "H4": 30}, 50)):
        assert not np.array_equal(picture(tmp_path / "c.png", counts, min_count), first)


def test_a_diagnosis_draws_where_it_is_told_to(tmp_path):
    write(tmp_path / "a.mid", [62] * 9)
    told(tmp_path, histogram=tmp_path / "h.png", min_count=5)
    picture(tmp_path / "expected.png", {"D4": 9, "0.4": 1}, 5)
    assert (tmp_path / "h.png").read_bytes() == (tmp_path / "expected.png").read_bytes()


def test_a_picture_of_nothing_or_nowhere_is_an_error(tmp_path):
    with pytest.raises(NumpyrnnError, match="there must be tokens"):
        plot_histogram({}, tmp_path / "a.png", 50)
    with pytest.raises(NumpyrnnError, match="could not be written"):
        plot_histogram(COUNTS, tmp_path / "nowhere" / "a.png", 50)
