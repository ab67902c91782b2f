"""The course's jazz exercise: its training data, its models, its printed form, and one solo that keeps time."""

import functools
import json
import wave
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from jazz import course
from jazz.course.exercise import accompaniment, choose_pitch, play
from jazz.course.replay import longest_run, replay
from jazz.grammar import Element, Value, candidates, kinds, parse_value, quality, sounding
from music.midi import Midi, Note, read_midi, write_midi
from numpyrnn import NumpyrnnError, Sequential
from numpyrnn.activations import log_softmax
from numpyrnn.optim import Adam
from numpyrnn.sampling import Sampler

TUNE = "original_metheny.mid"
GOLDENS = {True: "jazz_m21_6.7.1.json", False: "jazz_m21_5.7.2.json"}
C7 = (60, 64, 67, 70)


@functools.cache
def golden(shared, rests=True):
    return json.loads((shared / "goldens" / GOLDENS[rests]).read_text())


@functools.cache
def loaded(shared, rests=True):
    return course.load_music_utils(shared / TUNE, rests)


@functools.cache
def trained_once(shared):
    """The exercise as the notebook runs it."""
    X, Y, n_values, indices_values, chords = loaded(shared)
    LSTM_cell, densor, reshaper = course.shared_layers(n_values, n_a=64)
    model = course.djmodel(Tx=30, LSTM_cell=LSTM_cell, densor=densor, reshaper=reshaper)
    model.compile(optimizer=Adam(0.01, decay=0.01), loss="categorical_crossentropy", metrics=["accuracy"])
    zeros = np.zeros((60, 64))
    losses = model.fit([X, zeros, zeros], list(Y), epochs=100, verbose=0).history["loss"]
    writer = course.music_inference_model(LSTM_cell, densor, Ty=50)
    return SimpleNamespace(model=model, losses=losses, writer=writer, indices_values=indices_values, chords=chords)


@pytest.fixture
def trained(shared_data):
    return trained_once(shared_data)


# what is read


@pytest.mark.parametrize(("rests", "n_values"), [(True, 90), (False, 78)])
def test_the_data_have_the_shapes_of_the_exercise_and_are_one_hot(shared_data, rests, n_values):
    X, Y, n, indices_values, chords = loaded(shared_data, rests)
    assert (X.shape, Y.shape, n, len(chords)) == ((60, 30, n_values), (30, 60, n_values), n_values, 18)
    assert X.dtype == Y.dtype == np.float32
    assert_array_equal(X.sum(axis=2), np.broadcast_to(np.arange(30) > 0, (60, 30)))
    assert_array_equal(Y.sum(axis=2), np.broadcast_to(np.arange(30)[:, None] < 29, (30, 60)))
    assert set(np.unique(X)) == set(np.unique(Y)) == {0, 1}
    assert list(indices_values) == list(range(n_values))


@pytest.mark.parametrize("rests", [True, False])
def test_the_examples_are_the_golden_corpus_at_the_golden_places(shared_data, rests):
    X, Y, _, indices_values, _ = loaded(shared_data, rests)
    gold = golden(shared_data, rests)
    assert list(indices_values.values()) == gold["unique_sorted"]
    for example, start in enumerate(gold["window_starts_seed0"]):
        expected = gold["corpus"][start + 1 : start + 30]
        assert [indices_values[i] for i in X[example, 1:].argmax(axis=1).tolist()] == expected
        assert [indices_values[i] for i in Y[:-1, example].argmax(axis=1).tolist()] == expected


@pytest.mark.parametrize("rests", [True, False])
def test_the_originals_measures_are_the_golden_ones(shared_data, rests):
    measures, chords, values = course.originals(shared_data / TUNE, rests)
    gold = golden(shared_data, rests)
    assert [" ".join(map(str, measure)) for measure in values] == gold["grammars"]
    assert [len(measure) for measure in measures] == [len(measure) for measure in values]
    qualities = [[quality(chord.pitches) for chord in measure] for measure in chords]
    assert qualities == [[chord["quality"] for chord in gold["chords"][str(i)]] for i in range(1, 19)]


def test_reading_does_not_touch_numpys_global_state(shared_data):
    np.random.seed(123)  # noqa: NPY002
    before = np.random.get_state()[1:3]  # noqa: NPY002
    course.load_music_utils(shared_data / TUNE)
    after = np.random.get_state()[1:3]  # noqa: NPY002
    assert_array_equal(before[0], after[0])
    assert before[1] == after[1]


def write_tune(path, names):
    notes = [Note(Fraction(i), Fraction(1), 60 + i, track=t, channel=t) for t in range(len(names)) for i in range(8)]
    write_midi(path, Midi(notes, list(names)))


@pytest.mark.parametrize(
    ("names", "settings", "message"),
    [
        (["Lead", "Piano"], {}, "melody of .* must name one of the parts"),
        (["Guitar", "Organ"], {}, "chords of .* must name one of the parts"),
        (["Guitar", "Piano"], {}, "must have a melody in part 'Guitar' over chords .* from quarter 476 to 548"),
        (["Guitar", "Piano"], {"window": (0, 8)}, "must have a melody in part 'Guitar' over chords"),  # single notes
    ],
)
def test_another_file_is_an_error_that_says_what_is_needed(tmp_path, names, settings, message):
    write_tune(tmp_path / "tune.mid", names)
    with pytest.raises(NumpyrnnError, match=message) as error:
        course.originals(tmp_path / "tune.mid", **settings)
    assert "\n" not in str(error.value)


def test_other_parts_and_another_window_can_be_read(tmp_path):
    lead = [Note(Fraction(i), Fraction(1, 2), 60 + i, track=0, channel=0) for i in range(8)]
    organ = [Note(Fraction(i), Fraction(4), p, track=1, channel=1) for i in (0, 4) for p in (48, 52, 55)]
    write_midi(tmp_path / "tune.mid", Midi([*lead, *organ], ["Lead", "Organ"]))
    read = course.originals(tmp_path / "tune.mid", False, melody="Lead", chords="2", window=(4, 7))
    measures, chords, values = read
    assert [[note.pitches for note in measure] for measure in measures] == [[(64,), (65,), (66,), (67,)]]
    assert chords == [[Element(Fraction(4), Fraction(4), (48, 52, 55))]]
    assert [str(value) for value in values[0]][:2] == ["C,0.500", "A,0.500,<d4,M-2>"]


def test_a_tune_of_thirty_values_is_too_short():
    assert len(course.window_starts(31)) == 60
    with pytest.raises(NumpyrnnError, match="a tune must have more than 30 values, got 30"):
        course.window_starts(30)


# training


def test_the_model_has_as_many_weights_as_the_exercise_says(trained):
    assert trained.model.count_params() == 45_530


def test_the_loss_falls_from_that_of_a_guess_to_ten(trained):
    assert len(trained.losses) == 100
    assert_allclose(trained.losses[0], 29 * np.log(90), atol=3)
    assert trained.losses[-1] <= 10


def test_there_is_one_update_a_batch_of_32(trained):
    assert trained.model.optimizer.t == 2 * 100


# writing


def test_what_is_written_is_the_arg_max_fed_back(trained):
    writer = trained.writer
    results, indices = course.predict_and_sample(writer, np.zeros((1, 1, 90)), np.zeros((1, 64)), np.zeros((1, 64)))
    assert (results.shape, indices.shape) == ((50, 90), (50, 1))
    assert_array_equal(results, np.eye(90)[indices[:, 0]])
    assert_array_equal(course.predict_and_sample(writer)[1], indices)
    X = np.vstack([np.zeros((1, 90)), results[:-1]])[:, None]  # one pass over all that was written
    logits, _, _ = Sequential(writer.LSTM_cell.copy(), writer.densor.copy()).forward(X)
    assert_array_equal(logits.argmax(axis=2), indices)
    predicted = writer.predict(writer.zeros())
    assert_allclose(predicted, np.exp(log_softmax(logits)), rtol=1e-3, atol=1e-6)


def test_sampled_sequences_differ_and_repeat_with_their_seed(trained):
    zeros = trained.writer.zeros(3)
    drawn = [trained.writer.write(zeros, Sampler(seed))[0] for seed in (0, 0, 1)]
    assert drawn[0].shape == (50, 3)
    assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()
    assert (drawn[0][:, 0] != drawn[0][:, 1]).any()


# the music


def kind_of(pitch, chord):
    """Chord tone, scale tone, approach tone or other."""
    return kinds(chord)[pitch % 12]


@pytest.fixture
def music(trained, tmp_path, capsys):
    path = tmp_path / "new" / "folder" / "my_music.midi"
    midi = course.generate_music(trained.writer, trained.indices_values, trained.chords, path, diversity=0.5)
    longer = course.music_inference_model(trained.writer.LSTM_cell, trained.writer.densor, Ty=100)  # fills five bars
    indices = course.predict_and_sample(longer)[1][:, 0].tolist()
    values = [parse_value(trained.indices_values[i]) for i in indices]
    solo = [note for note in midi.notes if note.track == 0]
    return SimpleNamespace(midi=midi, path=path, values=values, solo=solo, printed=capsys.readouterr().out)


def test_the_solo_is_one_voice_in_time(music):
    assert len(music.solo) == sum(value.kind != "R" for value in music.values)
    assert all(earlier.onset + earlier.duration <= later.onset for earlier, later in pairwise(music.solo))
    assert all(note.onset // 4 == (note.onset + note.duration - Fraction(1, 100)) // 4 for note in music.solo)
    assert all(note.duration > 0 for note in music.midi.notes)


def test_notes_stand_where_their_values_say_and_are_of_their_kind(music, trained):
    now, notes = Fraction(0), iter(music.solo)
    for value in music.values:
        left = 4 - now % 4
        if value.kind != "R":
            note = next(notes)
            assert (note.onset, note.duration) == (now, min(value.duration, left))
            measure = [replace(chord, onset=chord.onset % 4) for chord in trained.chords[now // 4 % 5]]
            chord = sounding(measure, now % 4).pitches
            there_is_one = any(kind_of(pitch, chord) == value.kind for pitch in range(12))
            assert kind_of(note.pitch, chord) == (value.kind if there_is_one else "C")
        now += min(value.duration, left)
    assert next(notes, None) is None


def test_every_bar_has_its_chords_from_beginning_to_end(music, trained):
    comping = [note for note in music.midi.notes if note.track == 1]
    n_bars = int(music.midi.length / 4)
    assert n_bars == (music.solo[-1].onset // 4) + 1
    for bar in range(n_bars):
        of_bar = [note for note in comping if note.onset // 4 == bar]
        assert min(note.onset for note in of_bar) == 4 * bar
        assert max(note.onset + note.duration for note in of_bar) == 4 * bar + 4
        assert {note.pitch for note in of_bar} == {p for chord in trained.chords[bar % 5] for p in chord.pitches}


def test_the_file_holds_the_music(music):
    read = read_midi(music.path)
    assert read.notes == music.midi.notes
    assert read.names == ["Solo", "Chords"]
    assert_allclose(read.seconds(130), 60, rtol=1e-6)


def test_what_is_printed_is_what_the_course_prints(music):
    counts = [sum(note.onset // 4 % 5 == i for note in music.solo) for i in range(5)]
    assert music.printed.splitlines() == [
        "Predicting new values for different set of chords.",
        *(
            f'Generated {n} sounds using the predicted values for the set of chords ("{i}") and after pruning'
            for i, n in enumerate(counts, 1)
        ),
        f"Your generated music is saved in {music.path}",
    ]


def test_the_music_goes_to_the_output_folder_by_default_and_repeats_with_its_seed(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines, files = [], []
    for seed in (0, 0, 1):
        course.generate_music(trained.writer, trained.indices_values, trained.chords, seed=seed, report=lines.append)
        files.append((tmp_path / "output" / "my_music.midi").read_bytes())
    assert lines[-1] == "Your generated music is saved in output/my_music.midi"
    assert files[0] == files[1] != files[2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda iv, chords, path: (dict(list(iv.items())[:-1]), chords, path / "x"), "the ids 0 to 89 .*, got 89 ids"),
        (lambda iv, chords, path: (iv, [], path / "x"), "chords must hold a list of chords for each measure"),
        (lambda iv, chords, path: (iv, [[]], path / "x"), "chords must hold a list of chords for each measure"),
        (lambda iv, chords, path: (iv, chords, path / "file" / "x"), "the folder of .* could not be made"),
    ],
)
def test_what_cannot_be_played_is_an_error(trained, tmp_path, change, message):
    (tmp_path / "file").write_text("")
    with pytest.raises(NumpyrnnError, match=message) as error:
        course.generate_music(trained.writer, *change(trained.indices_values, trained.chords, tmp_path))
    assert "\n" not in str(error.value)


def bar_of(*onsets):
    return [Element(Fraction(onset), Fraction(1), tuple(p + i for p in C7)) for i, onset in enumerate(onsets)]


def test_bars_hold_time_and_the_sets_come_round():
    values = [parse_value(text) for text in ("C,3.500", "S,0.750", "R,71.000", "A,0.333", "C,4.000", "C,0.250")]
    notes, n_bars = play(values, [bar_of(0), bar_of(0, 2)], seed=0)
    expected = [(0, Fraction(7, 2)), (Fraction(7, 2), Fraction(1, 2)), (8, Fraction(1, 3))]
    expected += [(8 + Fraction(1, 3), 4 - Fraction(1, 3)), (12, Fraction(1, 4))]
    assert [(note.onset, note.duration) for note in notes] == expected
    assert n_bars == 4
    assert play([], [bar_of(0)], seed=0) == ([], 0)
    assert play(values[:2], [bar_of(0)], seed=0)[1] == 1  # a full bar begins no second


def test_the_first_chord_sounds_from_the_bar_line_and_chords_that_begin_together_are_one():
    notes = accompaniment(bar_of(1, 2, 2), Fraction(8))
    first, second, third = ({p + i for p in C7} for i in range(3))
    assert {(note.onset, note.duration, note.pitch) for note in notes} == {
        *((8, 2, pitch) for pitch in first),
        *((10, 2, pitch) for pitch in second | third),
    }


def test_a_pitch_is_of_its_kind_in_reach_and_within_its_interval_where_it_can_be(shared_data):
    chord, rng, moved = (60, 64, 67), np.random.default_rng(0), 0  # this chord has tones of every kind
    for value in map(parse_value, golden(shared_data)["unique_sorted"]):
        for previous in (None, 48, 60, 71, 84):
            if value.kind == "R":
                continue
            pitch = choose_pitch(value, previous, chord, rng)
            assert 48 <= pitch <= 84
            assert kind_of(pitch, chord) == value.kind
            if previous is not None and value.interval is not None:
                fitting = candidates(value, previous, chord, 48, 84)
                assert pitch in fitting or not fitting
            else:
                assert abs(pitch - (previous or 67)) <= 7
            moved += pitch != previous
    assert moved > 300


def test_a_kind_that_the_chord_does_not_have_becomes_the_nearest_chord_tone():
    every = tuple(range(60, 72))  # nothing is left for the other kinds
    rng = np.random.default_rng(0)
    assert choose_pitch(Value("X", Fraction(1)), 66, every, rng) in (65, 67)


def test_the_music_can_be_rendered_as_sound(music, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    course.mid2wav(music.path)
    with wave.open("rendered.wav") as sound:
        assert (sound.getnchannels(), sound.getframerate()) == (2, 44100)
        last = max(note.onset + note.duration for note in music.midi.notes)
        assert music.midi.seconds(last) <= sound.getnframes() / 44100 <= music.midi.seconds(last) + 2
        assert np.abs(np.frombuffer(sound.readframes(10**7), np.int16)).max() > 1000


# the whole exercise


@pytest.mark.parametrize(
    ("written", "tune", "longest"),
    [([1, 2, 3], [0, 1, 2, 3, 4], 3), ([1, 2, 9, 3], [3, 1, 2, 3], 2), ([5], [1], 0), ([], [1], 0), ([1, 1], [1], 1)],
)
def test_the_longest_run(written, tune, longest):
    assert longest_run(written, tune) == longest


def test_the_trained_model_copies_its_tune(trained, shared_data):
    ids = {value: i for i, value in trained.indices_values.items()}
    tune = [ids[value] for value in golden(shared_data)["corpus"]]
    solo = course.predict_and_sample(trained.writer)[1][:, 0].tolist()
    assert longest_run(solo, tune) >= 40


def test_the_replay_reports_and_writes_everything(shared_data, tmp_path):
    lines = []
    result = replay(shared_data / TUNE, tmp_path / "out", epochs=3, report=lines.append)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["history.jsonl", "loss.png", "solo.mid", "solo.wav"]
    records = [json.loads(line) for line in (tmp_path / "out" / "history.jsonl").read_text().splitlines()]
    assert records == [
        {"epoch": epoch, "loss": loss, "held_out": held}
        for epoch, loss, held in zip((1, 2, 3), result["loss"], result["held_out"], strict=True)
    ]
    assert (tmp_path / "out" / "loss.png").read_bytes()[:4] == b"\x89PNG"
    text = "\n".join(lines)
    for expected in (
        "X (60, 30, 90), Y (30, 60, 90), 90 values",
        "45,530 parameters",
        f"epoch   1: loss {result['loss'][0]:.2f}",
        f"epoch   3: loss {result['loss'][2]:.2f}",
        f"{result['verbatim']} of its 50 values lie in one run of the training tune",
        f"at temperature 0.5: {result['verbatim_sampled'][0.5]:.1f} of 50",
        f"after epoch   3: {result['held_out'][2]:.2f}",
        "Your generated music is saved in",
    ):
        assert expected in text
    assert "epoch   2: loss" not in text
    assert 4 < result["held_out"][0] < 5  # near ln 90
