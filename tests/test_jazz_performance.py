"""A solo in one call, and its four files."""

import base64
import re
import struct
import subprocess
import sys
import wave
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import mido
import numpy as np
import pytest
from music21 import converter, instrument, tempo

import jazz
from jazz.changes import Changes, form, parse_changes
from jazz.instruments import TENOR
from jazz.model import Settings, tunes_of, values_of
from jazz.playing.band import BASS, DRUMS, PIANO, SOLO
from jazz.playing.performance import Solo, improvise, output_files, primer_values
from jazz.reading.choruses import read_chorus
from jazz.reading.corpus import chorus_midi, read_tunes
from jazz.soloist import Soloist
from jazz.training import JazzTraining
from music.midi import midi_bytes, parse_midi, write_midi
from numpyrnn import NumpyrnnError
from numpyrnn.sampling import Sampler
from workbench.files import data_path

CHORDS = "Dm7 G7 | Cmaj7 | N.C. | A7"
ENDINGS = [".mid", ".wav", ".png", ".musicxml"]
METERS = ["4/4", "3/4", "5/4", "7/8", "6/8"]


@pytest.fixture(scope="module")
def model():
    tunes = read_tunes([data_path(f"choruses/{name}.txt") for name in ("blues-f-1", "bossa-1", "waltz-1")])
    context = ("position", "chord", "degree", "register")
    training = JazzTraining.of_tunes(tunes, Settings(context=context, hidden=16, embedding=8, batch_size=4))
    training.run(5)
    return training.checkpoint()


@pytest.fixture
def play(model):
    usual = {"model": model, "ending": False}
    return lambda chords=CHORDS, seed=1, **settings: improvise(chords, seed=seed, **usual | settings)


@pytest.fixture(scope="module")
def solo(model):
    return improvise(CHORDS, seed=1, model=model, ending=False)


@pytest.fixture(scope="module")
def files(solo, tmp_path_factory):
    return solo.write(tmp_path_factory.mktemp("written") / "solo.mid")


def sounds(data):
    """The samples of a WAV file, (frames, channels), and its rate."""
    with wave.open(BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2), file.getframerate()


# what is played


@pytest.mark.parametrize("meter", METERS)
def test_the_solo_is_alone_in_its_track_and_on_its_channel(play, meter):
    played = play(meter=meter)
    assert played.midi.names == ["", "Solo", "Piano", "Bass", "Drums"]
    assert {(n.track, n.channel, n.program) for n in played.midi.notes} == {
        (SOLO, 0, 66),
        (PIANO, 1, 0),
        (BASS, 2, 32),
        (DRUMS, 9, 0),
    }
    assert played.notes == [note for note in played.midi.notes if note.channel == 0]
    pitches = [element.pitches[0] for element in played.line.elements if element.pitches]
    assert [note.pitch for note in played.notes] == pitches
    assert len(played.kinds) == len(pitches) > 8
    assert set(played.kinds) <= set("CSAX")


@pytest.mark.parametrize("meter", METERS)
def test_a_solo_has_the_bars_that_it_should(play, meter):
    played, (beats, unit) = play(meter=meter, choruses=2), map(int, meter.split("/"))
    assert played.midi.meters == [(0, beats, unit)]
    assert played.midi.length == 8 * Fraction(4 * beats, unit) == played.changes.bar * len(played.changes.bars)
    assert all(note.onset + note.duration <= played.midi.length for note in played.midi.notes)
    assert str(played.changes) == " | ".join([CHORDS, CHORDS])


def test_choruses_are_played_on(play):
    three = play(None, form="waltz", choruses=3)
    assert three.changes == form("waltz").times(3)
    assert len(three.changes.bars) == 48
    assert {int(note.onset // 48) for note in three.notes} == {0, 1, 2}
    chorus = [[n._replace(onset=n.onset % 48) for n in three.notes if n.onset // 48 == i] for i in range(3)]
    assert chorus[0] != chorus[1] != chorus[2]


def test_the_same_seed_makes_the_same_bytes(play, solo):
    assert midi_bytes(play().midi) == midi_bytes(solo.midi)
    assert midi_bytes(play(seed=2).midi) != midi_bytes(solo.midi)
    new = play(seed=None)
    assert new.seed != play(seed=None).seed
    assert midi_bytes(play(seed=new.seed).midi) == midi_bytes(new.midi)


def test_the_midi_reads_back_as_it_was(solo):
    again = parse_midi(midi_bytes(solo.midi), "solo")
    notes, expected = (
        sorted(n._replace(duration=Fraction(0)) if n.track == DRUMS else n for n in midi.notes)
        for midi in (again, solo.midi)  # a cymbal that is struck again ends there
    )
    assert notes == expected
    assert (again.names, again.meters, again.length) == (solo.midi.names, solo.midi.meters, solo.midi.length)


@pytest.mark.parametrize("meter", METERS)
def test_music21_opens_the_midi(play, meter, tmp_path):
    played = play(meter=meter, tempo=150, swing=0.5, mechanical=True)  # music21 has only sixteenths and triplets
    (tmp_path / "x.mid").write_bytes(midi_bytes(played.midi))
    score = converter.parse(tmp_path / "x.mid", forceSource=True)
    parts = {part.partName: part for part in score.parts}
    assert set(parts) == {"Solo", "Piano", "Bass", "Drums"}
    found = parts["Solo"].flatten()
    assert [note.pitch.midi for note in found.stripTies().notes] == [note.pitch for note in played.notes]
    assert next(iter(found.getElementsByClass(instrument.Instrument))).midiProgram == 66
    assert next(iter(score.flatten().getElementsByClass(tempo.MetronomeMark))).number == 150
    assert {part.getTimeSignatures()[0].ratioString for part in parts.values()} == {meter}
    measures = parts["Drums"].getElementsByClass("Measure")
    assert len(measures) == 4
    assert {measure.barDuration.quarterLength for measure in measures} == {played.changes.bar}


def test_mido_opens_the_midi_and_finds_the_solo_in_its_channel_only(solo):
    file = mido.MidiFile(file=BytesIO(midi_bytes(solo.midi)))
    assert (file.type, [track.name for track in file.tracks]) == (1, ["", "Solo", "Piano", "Bass", "Drums"])
    sounding = [[m for m in track if m.type == "note_on" and m.velocity] for track in file.tracks]
    assert [m.note for m in sounding[1]] == [note.pitch for note in solo.notes]
    assert [{m.channel for m in track} for track in sounding] == [set(), {0}, {1}, {2}, {9}]
    assert file.length == pytest.approx(solo.midi.seconds(solo.midi.length), abs=0.01)


def test_tempo_and_instrument_are_as_asked_for(play, solo):
    assert (solo.tempo, solo.midi.tempos) == (130, [(0, 461538)])
    assert play(tempo=60).midi.seconds(16) == 16
    played = play(program=12)  # General MIDI counts from 1, the bytes of MIDI from 0
    assert {note.program for note in played.notes} == {11}
    assert {note.program for note in played.midi.notes if note.track != SOLO} == {0, 32}


def test_instruments_can_be_left_out(play, solo):
    alone, trio = play(instruments=[]), play(instruments=("drums", "bass"))
    assert alone.midi.notes == solo.notes
    assert trio.midi.notes == [note for note in solo.midi.notes if note.track != PIANO]
    assert alone.midi.length == solo.midi.length


# files


def test_four_files_are_written_side_by_side(solo, files):
    assert [file.suffix for file in files] == ENDINGS
    assert sorted(files[0].parent.iterdir()) == sorted(files)
    assert files[0].read_bytes() == midi_bytes(solo.midi)


@pytest.mark.parametrize("name", ["solo", "solo.mid", "solo.midi", "solo.wav", "solo.png", "solo.musicxml"])
def test_the_ending_of_the_name_does_not_count(name):
    assert output_files(f"some/{name}") == [Path(f"some/solo{ending}") for ending in ENDINGS]
    assert [file.name for file in output_files("take.2")] == [f"take.2{ending}" for ending in ENDINGS]


def test_the_lead_sheet_can_be_left_out(solo, files, tmp_path):
    written = solo.write(tmp_path / "solo.musicxml", lead_sheet=False)
    assert written == output_files(tmp_path / "solo", lead_sheet=False) == [tmp_path / file.name for file in files[:3]]
    assert sorted(tmp_path.iterdir()) == sorted(written)


def test_every_bar_sounds(solo, files):
    samples, rate = sounds(files[1].read_bytes())
    assert rate == 44100
    assert len(samples) == round(solo.midi.seconds(solo.midi.length) * rate)  # a loop
    edges = [int(solo.midi.seconds(solo.changes.bar * bar) * rate) for bar in range(len(solo.changes.bars) + 1)]
    loudness = [np.sqrt(np.mean((samples[a:b] / 32768) ** 2)) for a, b in pairwise(edges)]
    assert min(loudness) > 0.01
    steps = np.abs(np.diff(samples.astype(int), axis=0))
    assert np.abs(samples[0].astype(int) - samples[-1]).max() <= steps.max()  # what rings leads into the beginning


def test_the_picture_is_a_png_of_a_size_to_look_at(files):
    data = files[2].read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", data[16:24])
    assert 600 <= width <= 6000
    assert 200 <= height <= 6000


def test_the_lead_sheet_has_the_notes_and_the_bars(solo, files):
    score = converter.parse(files[3], forceSource=True)
    (part,) = score.parts
    assert len(part.getElementsByClass("Measure")) == 4
    notes = part.flatten().getElementsByClass("Note")  # stripTies stumbles over N.C. between two tied notes
    begun = [note.pitch.midi for note in notes if note.tie is None or note.tie.type == "start"]
    assert begun == [note.pitch for note in solo.notes]
    assert b"Solo over Dm7 G7" in files[3].read_bytes()


@pytest.mark.parametrize("part", ["wav", "png", "musicxml"])
@pytest.mark.parametrize("error", [NumpyrnnError("no"), RuntimeError("no")], ids=lambda e: type(e).__name__)
def test_a_part_that_fails_leaves_nothing_behind(solo, tmp_path, monkeypatch, part, error):
    def fail(self, **how):
        raise error

    for other in ("wav", "png", "musicxml"):
        monkeypatch.setattr(Solo, other, fail if other == part else lambda self, **how: b"new")
    (tmp_path / "solo.png").write_bytes(b"old")
    with pytest.raises(type(error), match="no"):
        solo.write(tmp_path / "solo.mid")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"solo.png": b"old"}


@pytest.mark.parametrize("taken", ENDINGS)
def test_where_one_file_cannot_be_written_none_is(solo, tmp_path, monkeypatch, taken):
    for other in ("wav", "png", "musicxml"):
        monkeypatch.setattr(Solo, other, lambda self, **how: b"new")
    (tmp_path / f"solo{taken}").mkdir()
    with pytest.raises(NumpyrnnError, match=rf"solo\{taken} must be a file to write, it is a folder"):
        solo.write(tmp_path / "solo")
    assert [file.name for file in tmp_path.iterdir()] == [f"solo{taken}"]


def test_a_folder_that_is_not_there_is_made_if_it_can_be(solo, tmp_path, monkeypatch):
    for other in ("wav", "png", "musicxml"):
        monkeypatch.setattr(Solo, other, lambda self, **how: b"new")
    assert all(path.parent == tmp_path / "new" / "one" for path in solo.write(tmp_path / "new" / "one" / "solo.mid"))
    with pytest.raises(NumpyrnnError, match=r"^.*solo\.mid could not be written: Not a directory$"):
        solo.write(tmp_path / "new" / "one" / "solo.mid" / "solo.mid")
    with pytest.raises(NumpyrnnError, match=r"^a piece must have a file name, got '\.'$"):
        solo.write("")


def test_a_solo_is_written_over_an_older_one(solo, tmp_path, monkeypatch):
    for other in ("wav", "png", "musicxml"):
        monkeypatch.setattr(Solo, other, lambda self, **how: b"new")
        (tmp_path / f"solo.{other}").write_bytes(b"old and longer")
    solo.write(tmp_path / "solo")
    assert {file.read_bytes() for file in tmp_path.iterdir()} == {b"new", midi_bytes(solo.midi)}


# words and pictures


def test_the_summary_has_the_figures(solo):
    lines = solo.summary().split("\n")
    assert lines[0].startswith(f"{CHORDS}: 4 bars at 130, {len(solo.notes)} notes in the solo (")
    shares = [int(share) for share in re.findall(r"(\d+)% (?:chord|scale|approach|other)", lines[0])]
    assert len(shares) == len(set(solo.kinds))
    assert abs(sum(shares) - 100) <= len(shares)
    silence = sum(value.duration for value in solo.line.values if value.kind == "R") / 16
    assert f", {float(silence):.0%} silence." in lines[0]
    assert lines[1] == f"Longest run copied: {solo.copied}. Seed 1."


def test_the_longest_run_that_was_copied_is_found(play, model):
    played = play(None, form="blues-f", longest_copy=3)
    values = [str(value) for value in played.line.values]
    texts = {tune.name: "|".join(["", *values_of(model, tune), ""]) for tune in tunes_of(model).training}
    runs = [values[a:b] for a in range(len(values)) for b in range(a + 1, len(values) + 1)]
    known = [run for run in runs if any("|".join(["", *run, ""]) in text for text in texts.values())]
    assert played.copied.length == max(map(len, known)) <= 3
    assert played.copied.tune in texts


def test_a_notebook_shows_it_without_a_network(solo):
    page = solo._repr_html_()
    assert "http" not in page
    picture, sound = re.findall(r'src="data:([a-z/]+);base64,([^"]+)"', page)
    assert picture[0] == "image/png"
    assert base64.b64decode(picture[1]).startswith(b"\x89PNG")
    assert sound[0] == "audio/wav"
    samples, rate = sounds(base64.b64decode(sound[1]))
    assert len(samples) >= solo.midi.seconds(16) * rate
    assert "Seed 1." in page


def test_a_title_cannot_break_the_page(solo, monkeypatch):
    for part in ("wav", "png"):
        monkeypatch.setattr(Solo, part, lambda self, *rate: b"")
    line = replace(solo.line, changes=replace(solo.changes, title="<b>&"))
    assert "&lt;b&gt;&amp;: 4 bars" in replace(solo, line=line)._repr_html_()


# what is heard before


@pytest.mark.parametrize("primer", ["opening", data_path("choruses/bossa-1.txt")])
def test_a_solo_begins_with_its_primer(play, model, primer):
    values = primer_values(primer, model, parse_changes("C7 | F7 | C7"))
    line = play(chords="C7 | F7 | C7", primer=primer).line
    assert [(v.kind, v.duration) for v in line.values[:3]] == [(v.kind, v.duration) for v in values[:3]]
    assert play(chords="C7 | F7 | C7").line != line


def test_a_primer_is_two_bars_of_a_chorus_or_of_its_midi_or_of_a_tune_of_the_form(model, tmp_path):
    assert primer_values(None, model, form("waltz")) == []
    assert primer_values("opening", model, parse_changes("C"))  # no tune is of this form: any one will do
    for tune in tunes_of(model).training:
        opening = values_of(model, tune)[: sum(tune.bars[:2])]
        chorus, changes = data_path(f"choruses/{tune.name}.txt"), form(tune.group)
        write_midi(tmp_path / f"{tune.name}.mid", chorus_midi(read_chorus(chorus), straight=True))
        for primer in ("opening", chorus, str(chorus), tmp_path / f"{tune.name}.mid"):
            assert [str(value) for value in primer_values(primer, model, changes)] == opening


def test_an_ending_is_held_by_the_whole_band(play):
    solo = play(chords="Dm7 G7 | Cmaj7 A7 | Dm7 | G7", ending=True)
    assert [str(chord) for _, chord in solo.changes.bars[-1]] == ["Cmaj7"]
    last = [note for note in solo.midi.notes if note.onset >= 16]
    assert {note.track for note in last} >= {PIANO, BASS, DRUMS}
    assert all(note.onset == 16 for note in last if note.track != SOLO)
    assert [note.pitch % 12 for note in last if note.track == BASS] == [0]


# as a user has it


def test_a_solo_from_the_shipped_model():
    played = jazz.improvise(seed=3)
    assert isinstance(played, jazz.Solo)
    assert played.title == "Blues in F"
    assert played.copied.length <= 8 < len(played.notes)
    assert jazz.improvise(chords=Changes(form("waltz").bars[:4], (3, 4)), seed=3, ending=False).midi.length == 12


WITHOUT_MUSIC21 = """
import sys
sys.modules["music21"] = None  # importing it raises
import jazz
from jazz.changes import form
from jazz.cli import app
from jazz.soloist import Soloist
from numpyrnn import Sampler, load
folder, model, chorus = sys.argv[1:]
print(len(jazz.improvise(seed=1).write(f"{folder}/first", lead_sheet=False)))
print(len(Soloist(load(model), Sampler(0)).play(form("waltz")).tune().bars))
app(["improvise", "--seed", "1", "--no-lead-sheet", "-o", f"{folder}/second"], standalone_mode=False)
try:
    app(["train", chorus, "--epochs", "1", "--hidden", "8", "-o", f"{folder}/own.npz"], standalone_mode=False)
except SystemExit as end:
    print(end.code)
app(["evaluate", "--model", f"{folder}/own.npz", "--samples", "1", "--solos", "1"], standalone_mode=False)
"""


def test_only_the_lead_sheet_needs_music21(tmp_path):
    arguments = [str(tmp_path), data_path("models/jazz.npz"), data_path("choruses/waltz-1.txt")]
    command, root = [sys.executable, "-c", WITHOUT_MUSIC21, *map(str, arguments)], Path(__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8", check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:2] == ["3", "16"]
    assert {path.name for path in tmp_path.glob("second*")} == {"second.mid", "second.wav", "second.png"}
    assert (tmp_path / "first.mid").read_bytes() == (tmp_path / "second.mid").read_bytes()
    assert "nats a value" in done.stdout


def test_jazz_has_only_the_names_that_it_exports():
    with pytest.raises(AttributeError, match="module 'jazz' has no attribute 'imrpovise'"):
        jazz.imrpovise  # noqa: B018


def test_at_temperature_0_the_seed_changes_nothing_and_else_it_changes_solo_and_band(model):
    cold = [improvise("Dm7 | G7", model=model, seed=seed, temperature=0) for seed in range(3)]
    assert all(solo.midi == cold[0].midi for solo in cold)
    assert [solo.seed for solo in cold] == [0, 1, 2]
    warm = [improvise("Dm7 | G7", model=model, seed=seed) for seed in range(2)]
    solos, bands = (
        [[n for n in one.midi.notes if (n.track == SOLO) == part] for one in warm] for part in (True, False)
    )
    assert solos[0] != solos[1]
    assert bands[0] != bands[1]


def test_top_p_is_that_of_the_sampler(model):
    sampler = Sampler(np.random.default_rng([3, 0]), 1.0, None, 0.4)
    soloist = Soloist(model, sampler, longest_copy=8, low=TENOR.low, high=TENOR.high)
    expected = soloist.play(parse_changes("Dm7 | G7"))
    settings = {"model": model, "seed": 3, "temperature": 1.0, "ending": False}
    assert improvise("Dm7 | G7", top_p=0.4, **settings).line.values == expected.values
    assert improvise("Dm7 | G7", **settings).line.values != expected.values


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"chords": "Dm7 | H7"}, "bar 2: a chord must be like"),
        ({"chords": ""}, "changes must have a chord"),
        ({"chords": "C", "form": "waltz"}, "either chords or a form must be given, got both: C and 'waltz'"),
        ({"chords": "C", "meter": "4"}, "a meter must be like 4/4, 3/4 or 6/8, got '4'"),
        ({"temperature": -1}, "temperature must be at least 0, got -1"),
        ({"choruses": 0}, "choruses must be a whole number of at least 1, got 0"),
        ({"choruses": 900}, "a solo must have at most 10000 bars, got 12 x 900"),
        ({"chords": "C", "choruses": 5000, "tempo": 60}, "a solo must last at most 30 minutes, this one would last"),
        ({"chords": 7}, "chords must be text, a Chart or Changes, got 7"),
        ({"primer": data_path("choruses")}, r"a primer must be one file, .*choruses holds \d+"),
        ({"tempo": "fast"}, "tempo must be at least 20 and at most 400, got 'fast'"),
        ({"swing": 0.9}, "swing must be at least 0.5 and at most 0.8, got 0.9"),
        ({"program": 129}, "program must be a whole number of at most 128, got 129"),
        ({"program": 0}, "program must be a whole number of at least 1, got 0"),
        ({"top_p": 0}, "top_p must be above 0 and at most 1, got 0"),
        ({"instruments": ["flute", "bass"]}, "instruments must be a list of piano, bass, drums, got ..flute"),
        ({"primer": "nowhere.mid"}, "nowhere.mid could not be read"),
        ({"primer": data_path("models/dinos.npz")}, "dinos.npz must be a MIDI file"),
        ({"model": "nowhere.npz"}, "nowhere.npz could not be read"),
        ({"model": data_path("models/dinos.npz")}, "dinos.npz must be a model of jazz, it is one of dinos"),
    ],
    ids=lambda given: "" if isinstance(given, str) else "-".join(given),
)
def test_bad_input_is_one_line(model, settings, message):
    with pytest.raises(NumpyrnnError, match=message) as caught:
        improvise(**{"model": model, "seed": 1} | settings)
    assert "\n" not in str(caught.value)


def test_a_solo_is_shown_as_what_it_is(model):
    solo = improvise(CHORDS, model=model, seed=4, ending=False)
    assert repr(solo) == f"Solo over {CHORDS}: {len(solo.notes)} notes in 4 bars, seed 4"


@pytest.mark.parametrize("name", ["primer", "head", "ending", "count_in", "mechanical", "solo"])
@pytest.mark.parametrize("value", [3, ["a.mid"], b"x"])
def test_a_value_of_the_wrong_type_is_one_clear_error(name, value):
    wanted = "a path" if name in ("primer", "head") else "True or False"
    with pytest.raises(NumpyrnnError, match=f"^{name} must be {wanted}, got "):
        improvise("C", **{name: value})
