"""Files that are made to take long or much memory: each is read in bounded work, or refused in one line."""

import gc
import os
import random
import struct
import subprocess
import sys
import unicodedata
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_midi_reader import END, chunk, song

from dinos import model as dinos_model
from dinos.model import NameTraining, Settings
from dinos.names import read_names
from jazz import cli
from jazz.changes import parse_changes
from jazz.charts.chart import MAX_CHORDS, spread
from jazz.chords import parse_chord
from jazz.reading import corpus, tracks
from jazz.reading.choruses import read_chorus
from jazz.reading.doctor import diagnose
from music import reader
from music.midi import Midi, Note, midi_bytes, parse_midi
from music.synth import render
from music.voices import SAX, tone
from numpyrnn import NumpyrnnError
from sonnets.text import plain
from workbench import ngram
from workbench.files import MAX_NOTES_BYTES, composed
from workbench.ngram import KneserNey

FIELDS = "title: a\nform: f\nmeter: 4/4\ntempo: 120\nfeel: swing\n"
LARGEST = 500  # MB


def time_of(ticks):
    """A time in ticks as a variable-length quantity of four bytes."""
    return bytes([0x80 | ticks >> 21 & 127, 0x80 | ticks >> 14 & 127, 0x80 | ticks >> 7 & 127, ticks & 127])


def line(n, step=480, seed=1):
    """Events of notes that follow each other."""
    pitches = random.Random(seed).choices(range(60, 84), k=n)
    return b"".join(b"\0\x90%c\x50" % p + time_of(step) + b"\x80%c\0" % p for p in pitches)


# MIDI


@pytest.mark.parametrize("event", [b"\0\xf0\x83\0\x90", b"\0\xf0\xff\x1f\x90"], ids=range(2))
def test_bytes_in_which_events_are_looked_for_are_bounded(event, monkeypatch):
    monkeypatch.setattr(reader, "MAX_SEARCHED", 5000)
    with pytest.raises(NumpyrnnError, match=r"^x must be less damaged: its events were searched for in 5000 bytes$"):
        parse_midi(song(event * 2000 + END), "x")


def test_a_bad_event_costs_the_search_near_it_only():
    """The first new event after each of these is far away, but where the next bad one begins is known."""
    bad = b"\0\xf4\0\xf4" * 3 + b"\0\xf1\xf1"
    tracks_read = reader.read_tracks(song(bad * 20_000 + line(8) + END))
    assert len(tracks_read.notes) == 8
    assert tracks_read.searched <= 20_000 * 2 * (reader.NEAR + reader.LONGEST)


def test_the_longest_new_event_is_within_its_bound():
    event = b"\xff\xff\0\x90\0\0"
    assert reader.NEW.fullmatch(b"\xff\0\x90\0\0" + event * 5)
    assert len(b"\xff\0\x90\0\0" + event * 5) <= reader.LONGEST


@pytest.mark.parametrize("collecting", [True, False])
@pytest.mark.parametrize("data", [song(line(3) + END), b"MThd"], ids=["read", "refused"])
def test_garbage_is_collected_after_reading_as_it_was_before(data, collecting):
    before = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()
        with suppress(NumpyrnnError):
            parse_midi(data, "x")
        assert gc.isenabled() == collecting
    finally:
        (gc.enable if before else gc.disable)()


def jazz_midi(n):
    return song(line(n) + END, division=480)


def test_notes_that_are_read_as_jazz_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(tracks, "MAX_NOTES", 200)
    path = tmp_path / "a.mid"
    path.write_bytes(jazz_midi(200))
    assert any("To be learned" in said for said in diagnose(path))
    path.write_bytes(jazz_midi(201))
    words = r"a\.mid: a file must have at most 200 notes to be read as jazz, it has 201$"
    with pytest.raises(NumpyrnnError, match=words):
        list(diagnose(path))
    with pytest.raises(NumpyrnnError, match=words):
        corpus.read_tunes([path])


@pytest.mark.parametrize("seed", range(20))
def test_bars_in_which_a_part_plays_are_those_in_which_a_note_begins(seed):
    rng = random.Random(seed)
    onsets = sorted(rng.choices(range(200), k=30))
    midi = Midi([Note(onset, rng.randrange(9), 60) for onset in onsets], meters=[(0, 3, 4), (31, 5, 8), (90, 2, 2)])
    bars = tracks.bars_of(midi)
    begun = [any(start <= onset < start + length for onset in onsets) for start, length in bars]
    assert tracks.parts_of(midi)[0].bars_played(bars) == sum(begun)


# sound


def test_an_excerpt_is_bounded():
    midi = Midi([Note(i, 1, 60) for i in range(1300)])
    assert corpus.excerpt(midi, 1, 300).length == 1200
    words = r"^an excerpt must last at most 600 seconds: take fewer bars than 301$"
    with pytest.raises(NumpyrnnError, match=words):
        corpus.excerpt(midi, 2, 301)


def test_notes_are_rendered_through_the_progress_and_sound_the_same():
    midi, seen = Midi([Note(i, 1, 60 + i) for i in range(5)]), []

    def progress(notes):
        assert len(notes) == 5
        for note in notes:
            seen.append(note)
            yield note

    assert (render(midi, 8000, progress=progress) == render(midi, 8000)).all()
    assert len(seen) == 5


def test_listen_shows_a_bar_of_notes(tmp_path, monkeypatch):
    (tmp_path / "a.mid").write_bytes(midi_bytes(Midi([Note(i, 1, 60) for i in range(3)])))
    bars = []
    monkeypatch.setattr(cli, "progress_bar", lambda notes, **options: bars.append((len(notes), options)) or notes)
    done = CliRunner().invoke(cli.app, ["listen", str(tmp_path / "a.mid"), "-o", str(tmp_path / "a.wav")])
    assert done.exit_code == 0, done.output
    assert bars == [(3, {"unit": "note", "delay": 1})]


def test_a_long_note_is_corrected_piece_by_piece_to_the_same_sound(monkeypatch):
    whole = tone(SAX, 60, 90, 5000, 8000)
    monkeypatch.setattr("music.additive.PIECE", 700)
    assert (tone(SAX, 60, 90, 5000, 8000) == whole).all()
    assert abs(whole.mean()) < 1e-6


# charts and choruses


def test_the_text_of_changes_is_bounded(monkeypatch):
    monkeypatch.setattr("jazz.charts.text.MAX_TEXT", 10)
    assert len(parse_changes("C | Dm7   ").bars) == 2
    with pytest.raises(NumpyrnnError, match=r"^changes must have at most 10 characters, got 11$"):
        parse_changes("C | Dm7    ")


def test_the_chords_of_a_bar_are_bounded(tmp_path):
    chords = [parse_chord("C")] * MAX_CHORDS
    assert len(spread(chords, (4, 4))) == 64
    with pytest.raises(NumpyrnnError, match=r"^bar 1: a bar must have at most 64 chords$"):
        parse_changes("C " * 65 + "|")
    with pytest.raises(NumpyrnnError, match=r"^bar 2: a bar must have at most 64 chords$"):
        parse_changes("C | C" + " /" * 64)
    path = tmp_path / "a.txt"
    path.write_text(FIELDS + "C " * 65 + "| C5/1\n")
    with pytest.raises(NumpyrnnError, match=r"a\.txt, line 6: a bar must have at most 64 chords, it has 65$"):
        read_chorus(path)


def test_the_text_of_a_chorus_is_bounded(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(FIELDS + "C | C5/1\n" + "#" * MAX_NOTES_BYTES)
    with pytest.raises(NumpyrnnError, match=r"a\.txt must have at most 1048576 bytes, it has more"):
        read_chorus(path)


# texts

MARKS = [c for c in map(chr, range(0x300, sys.maxunicode + 1)) if unicodedata.combining(c)]


@pytest.mark.torture
def test_text_with_many_marks_is_composed_as_by_unicodedata(rounds, tell):
    rng, n = random.Random(1), rounds(300, 20_000)
    others = "aeợṩ─か각ạ́\u0344\u0ddc \n\ud800"
    for _ in range(n):
        share = rng.choice([0.5, 0.9, 0.99])
        text = "".join(rng.choice(MARKS if rng.random() < share else others) for _ in range(rng.randrange(300)))
        assert composed(text) == unicodedata.normalize("NFC", text)
    tell(f"{n:,} random texts of combining marks: each composed as unicodedata does")


def test_many_marks_in_a_row_come_to_unicodedata_in_order(monkeypatch):
    """For unsorted marks it takes quadratic time."""
    given = []
    monkeypatch.setattr("workbench.files.normalize", lambda form, text: given.append(text) or text)
    composed("a" + "\u0301\u0323" * 200_000 + "b")
    assert given == ["a" + "\u0323" * 200_000 + "\u0301" * 200_000 + "b"]


def test_names_and_texts_with_a_million_marks_are_read(tmp_path):
    (tmp_path / "a.txt").write_text("a" + "\u0301\u0323" * 500_000 + "\nb\nc\n", "utf-8")
    with pytest.raises(NumpyrnnError, match=r"at most 1000 characters, one has 1000000$"):
        read_names(tmp_path / "a.txt")
    assert plain("A" + "\u0301\u0323" * 500_000)[0] == "\u1ea1"


def test_names_whose_targets_would_fill_the_memory_are_refused(monkeypatch):
    names = ["abc", "bcd"]  # with their ends 8 characters; 5 different ones
    monkeypatch.setattr(dinos_model, "MAX_TARGETS", 40)
    NameTraining(names, ["a"], Settings(hidden=2))
    monkeypatch.setattr(dinos_model, "MAX_TARGETS", 39)
    words = r"^names of 5 letters must have at most 7 in all, they have 8$"
    with pytest.raises(NumpyrnnError, match=words):
        NameTraining(names, ["a"], Settings(hidden=2))
    NameTraining(names, ["a"], Settings(hidden=2, teacher=0.0))


def test_the_cache_of_an_ngram_is_bounded_and_changes_nothing(monkeypatch):
    rng = random.Random(1)
    texts = [[rng.randrange(9) for _ in range(50)] for _ in range(20)]
    free = KneserNey(texts, 9, 4)
    expected = [free.distributions(text) for text in texts]
    assert len(free._cache) > 300
    monkeypatch.setattr(ngram, "MAX_CACHED", 300)
    bounded = KneserNey(texts, 9, 4)
    for text, distributions in zip(texts, expected, strict=True):
        assert (bounded.distributions(text) == distributions).all()
        assert len(bounded._cache) <= 300 / 9 + 1
        assert len(bounded._numbers) <= 5 * (300 / 9 + 1)


# whole commands


def many_ends(n):
    return b"".join(b"%c\x90%c\x50" % (0 if i % 4 else 60, i % 128) for i in range(n))


def midi_files():
    """Hostile MIDI files by name."""
    steps = random.Random(2)
    odd = (
        time_of(13_007 + steps.randrange(977)) + b"\x90\x3c\x50" + time_of(12_011) + b"\x80\x3c\0"
        for _ in range(59_000)
    )
    tempos = b"".join(b"\1\xff\x51\3%c\1\1" % (i % 200) for i in range(120_000))
    every = b"".join(b"\0%c%c\x50" % (0x90 | channel, pitch) for channel in range(16) for pitch in range(128))
    low_meter = b"\0\xff\x58\4\1\6\x18\x08"
    return {
        "system exclusive events within each other": song(b"\0\xf0\x83\0\x90" * 120_000 + END),
        "the same, long": song(b"\0\xf0\xff\xff\xff\x7f" * 120_000 + END),
        "garbage": song(random.Random(3).randbytes(10_000_000)),
        "live messages": song(b"\0" + b"\xf8" * 15_000_000),
        "notes without an end": song(many_ends(248_000) + END, division=480),
        "fewer notes without an end": song(many_ends(59_000) + END, division=480),
        "an hour of notes": song(line(59_000, 780) + END, division=480),
        "notes at odd times": song(b"".join(odd) + END, division=32_767),
        "tempos": song(tempos + line(59_000, 600) + END, division=480),
        "two notes of ten minutes": song(
            b"\0\x90\x3c\x50\0\x90\x43\x50" + time_of(573_600) + b"\x80\x3c\0" + END, division=480
        ),
        "2,048 notes of fourteen hours": song(every + time_of(47_520_000) + b"\x80\x3c\0" + END, division=480),
        "bars of 1/64": song(low_meter + b"\0\x90\x3c\x40\x86\x8d\x20\x3c\0" + END, division=1),
        "a thousand parts": song(*[line(50, 60, seed) + END for seed in range(1000)], division=480),
        "chunks": b"MThd" + struct.pack(">IHHH", 6, 1, 1, 480) + chunk(b"MTrk", END) * 1000,
    }


MEASURE = """
import resource, subprocess, sys
with open(sys.argv[1], "wb") as said:
    status = subprocess.call(sys.argv[2:], stdout=said, stderr=said)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(status, used.ru_utime + used.ru_stime, used.ru_maxrss)
"""  # in a small process between, because the memory of the process that starts another one counts as the other's


def measured(arguments, folder):
    """Run a command of this package; its exit status, CPU seconds and largest memory in MB."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", MEASURE, folder / "said", sys.executable, "-m", *arguments]
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, check=True)
    status, seconds, size = done.stdout.split()
    return int(status), float(seconds), int(size) / (1 << 20 if sys.platform == "darwin" else 1 << 10)


@pytest.mark.torture
@pytest.mark.skipif(not hasattr(os, "wait4"), reason="the memory of a process is measured with wait4")
def test_every_command_on_hostile_midi_files_ends_with_little_memory(rounds, tell, tmp_path):
    files, worst = midi_files(), {"CPU": (0.0, ""), "memory": (0.0, "")}
    wav = tmp_path / "a.wav"
    commands = {
        "jazz doctor": ["jazz", "doctor"],
        "jazz score": ["jazz", "score"],
        "jazz score --chords": ["jazz", "score", "--chords", "C7"],
        "piano doctor": ["piano", "doctor", "--no-cache"],
        "jazz listen": ["jazz", "listen", "--bars", 9999, "--force", "-o", wav],
    }
    pairs = [(command, name) for command in commands for name in files]
    random.Random(4).shuffle(pairs)
    for command, name in pairs[: rounds(2, len(pairs))]:
        (tmp_path / "a.mid").write_bytes(files[name])
        status, seconds, size = measured([*commands[command], tmp_path / "a.mid"], tmp_path)
        said = (tmp_path / "said").read_text("utf-8")
        assert status in (0, 1), (command, name, said)
        assert status == 0 or said.splitlines()[-1].startswith("Error: "), (command, name, said)
        assert size < LARGEST, (command, name, size)
        worst["CPU"] = max(worst["CPU"], (seconds, f"{command}, {name}"))
        worst["memory"] = max(worst["memory"], (size, f"{command}, {name}"))
    (seconds, slow), (size, large) = worst["CPU"], worst["memory"]
    n = rounds(2, len(pairs))
    tell(f"{n} commands on hostile MIDI files: at most {seconds:.1f} s CPU ({slow}) and {size:.0f} MB ({large})")
