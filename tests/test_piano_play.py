"""From tokens to music: what is composed, when it sounds, and what is written."""

import wave
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from itertools import accumulate, islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from music.midi import Midi, Note, midi_bytes, parse_midi, read_midi, write_midi
from music.outputs import ENDINGS, side_by_side
from numpyrnn import NumpyrnnError
from numpyrnn.sampling import Sampler
from numpyrnn.stepper import Stepper
from piano.corpus import Piece
from piano.model import MODELS, material_of
from piano.play import Music, compose, midi_of, perform, read_primer
from piano.tokens import GRID, NAMES, pitches_of, split_token, tokens_of
from piano.training import PianoTraining

F = Fraction
USED = ["C4", "D4", "E-4", "F4", "0.4.7", "2.5.9"]
CHORDS = ["0.4.7", "9.0.4", "7", "11.2.5.7"]
PLAIN = st.lists(st.sampled_from([*NAMES.values(), *CHORDS]), min_size=1, max_size=12)
RHYTHMIC = st.lists(
    st.tuples(st.sampled_from(["C4", "E-5", "0.4.7"]), st.sampled_from(GRID), st.sampled_from(GRID)).map(
        lambda parts: "|".join(map(str, parts))
    ),
    min_size=1,
    max_size=12,
)


def learned(model, rhythm=False, **what):
    """A tiny network that has learned a little."""
    rng = np.random.default_rng(0)
    ending = "|1/2|1/4" if rhythm else ""
    pieces = [Piece(f"piece {i}", None, [USED[rng.integers(6)] + ending for _ in range(30)]) for i in range(4)]
    settings = replace(MODELS[model], embedding=4, hidden=5, dense=6, window=8, min_count=3, rhythm=rhythm, **what)
    training = PianoTraining.of_pieces(pieces, settings)
    training.run(1)
    return training.checkpoint(resumable=False)


@pytest.fixture(scope="module")
def checkpoints():
    return {model: learned(model) for model in MODELS}


@pytest.fixture
def checkpoint(checkpoints):
    return checkpoints["lstm-steps"]


# setting tokens for the piano


@given(PLAIN)
def test_without_rhythm_a_note_or_chord_comes_each_half_second(tokens):
    midi = parse_midi(midi_bytes(midi_of(tokens)), "it")
    assert sorted({midi.seconds(note.onset) for note in midi.notes}) == [i / 2 for i in range(len(tokens))]
    for note in midi.notes:
        assert midi.seconds(note.onset + note.duration) - midi.seconds(note.onset) == 0.5
    for i, token in enumerate(tokens):
        assert sorted(note.pitch for note in midi.notes if note.onset == i) == pitches_of(token)
    assert midi.seconds(midi.length) == len(tokens) / 2
    assert {(note.program, note.channel) for note in midi.notes} == {(0, 0)}
    assert midi.names == ["Piano"]


@given(RHYTHMIC)
def test_with_rhythm_durations_and_gaps_are_those_of_the_tokens(tokens):
    midi = midi_of(tokens, 90)
    parts = [split_token(token) for token in tokens]
    onsets = [F(0), *accumulate(gap for _, _, gap in parts)]
    expected = [
        (onset, duration, pitch)
        for onset, (name, duration, _) in zip(onsets, parts, strict=False)
        for pitch in pitches_of(name)
    ]
    assert [note[:3] for note in midi.notes] == expected
    again = parse_midi(midi_bytes(midi), "it")
    assert sorted(note[0:3:2] for note in again.notes) == sorted((onset, pitch) for onset, _, pitch in expected)
    assert midi.length == max(onset + duration for onset, duration, _ in expected)
    assert again.seconds(F(90)) == pytest.approx(60, abs=1e-4)


def test_what_was_written_is_read_as_the_same_tokens():
    tokens = ["C4|1/2|1/2", "0.4.7|1/4|1/4", "E-5|3/4|3/4", "11.2.5.7|2|2"]
    midi = parse_midi(midi_bytes(midi_of(tokens)), "it")
    assert tokens_of(midi, rhythm=True) == tokens


def test_beats_and_chords_are_louder():
    tokens = ["C4|1/2|1/2", "C4|1/2|1/2", "C4|1/2|1/2", "0.4|1/2|1/2", "7|1|1/2", "0.4.7|1|1"]
    velocities = [note.velocity for note in midi_of(tokens).notes]
    first, between, beat = velocities[:3]
    assert first > beat > between
    assert velocities[3:] == [between + 10] * 2 + [beat + 10] * 2 + [between + 10] * 3


def test_a_token_that_is_none_cannot_be_played():
    with pytest.raises(NumpyrnnError, match="a token must be a pitch of the piano"):
        midi_of(["H4"])


# composing


@pytest.mark.parametrize("model", list(MODELS))
@pytest.mark.parametrize("length", [1, 17])
def test_as_many_tokens_come_as_were_asked_for(checkpoints, model, length):
    written = compose(checkpoints[model], length, Sampler(0))
    assert len(written) == length
    assert set(written) <= set(checkpoints[model].vocabulary.tokens)


@pytest.mark.parametrize("model", list(MODELS))
def test_music_repeats_with_its_seed(checkpoints, model):
    one, again, other = (compose(checkpoints[model], 20, Sampler(seed)) for seed in (1, 1, 2))
    assert one == again
    assert one != other


@pytest.mark.parametrize("model", list(MODELS))
def test_a_primer_is_played_without_what_is_not_known(checkpoints, model):
    written = compose(checkpoints[model], 5, Sampler(0), ["A0", "C4", "0.4.7", "0.1.2", "D4"])
    assert written[:3] == ["C4", "0.4.7", "D4"]
    assert len(written) == 3 + 5


def test_without_a_primer_a_held_out_window_is_read(checkpoint):
    material = material_of(checkpoint)
    start = Sampler(5).rng.choice(material.unseen.starts)
    read = material.unseen.ids[start : start + 8]
    step = Stepper(checkpoint.model)
    for token in read:
        logits = step(token)
    expected = []
    for _ in range(6):
        expected.append(int(logits.argmax()))
        logits = step(expected[-1])
    assert checkpoint.vocabulary.encode(compose(checkpoint, 6, Sampler(5, temperature=0))).tolist() == expected
    assert compose(checkpoint, 6, Sampler(5, top_k=1)) == checkpoint.vocabulary.decode(expected)


@pytest.mark.parametrize("model", ["wavenet", "lstm-steps"])
def test_models_of_steps_hear_all_that_comes_before(checkpoints, model):
    network = checkpoints[model].model.copy()
    network.params.flat[...] *= 4  # so that what came long ago can be heard
    primer, checkpoint = [USED[i % 5] for i in range(23)], replace(checkpoints[model], model=network)
    ids = checkpoint.vocabulary.encode(primer).tolist()
    for _ in range(30):
        ids.append(int(network.forward(np.array(ids)[:, None])[0][-1, 0].argmax()))
    written = compose(checkpoint, 30, Sampler(0, temperature=0), primer)
    assert written == checkpoint.vocabulary.decode(ids)
    assert len(set(written[23:])) > 1


@pytest.mark.parametrize("model", ["lstm", "wavenet-simple"])
@pytest.mark.parametrize("n_primer", [1, 3, 8, 20])
def test_window_models_see_whole_windows_only(checkpoints, model, n_primer):
    checkpoint = checkpoints[model]
    primer = [USED[i % 6] for i in range(n_primer)]
    ids = checkpoint.vocabulary.encode(primer * 8).tolist()
    for _ in range(4):
        ids.append(int(checkpoint.model.forward(np.array(ids[-8:])[:, None])[0][-1, 0].argmax()))
    written = compose(checkpoint, 4, Sampler(0, temperature=0), primer)
    assert written == primer + checkpoint.vocabulary.decode(ids[-4:])


def test_music_has_rhythm_if_it_was_learned():
    checkpoint = learned("lstm-steps", rhythm=True)
    assert all(split_token(token)[1:] == (F(1, 2), F(1, 4)) for token in compose(checkpoint, 9, Sampler(0)))
    # another rhythm of a known name gives way to the one that was learned
    assert compose(checkpoint, 1, Sampler(0), ["C4|4|4"])[0] == "C4|1/2|1/4"


@pytest.mark.parametrize("length", [0, -1, 1.5, True])
def test_a_length_must_be_a_number_of_tokens(checkpoint, length):
    with pytest.raises(NumpyrnnError, match="length must be a whole number of at least 1"):
        compose(checkpoint, length, Sampler(0))


def test_a_primer_is_the_beginning_of_a_file(checkpoint, tmp_path):
    tokens = ["A0", *islice(USED * 3, 15)]
    write_midi(tmp_path / "it.mid", midi_of(tokens))
    assert read_primer(tmp_path / "it.mid", checkpoint) == tokens[1:9]
    music = perform(checkpoint, 6, primer=tmp_path / "it.mid", seed=0)
    assert music.n_primer == 8
    assert music.tokens[:8] == tokens[1:9]
    assert len(music.tokens) == 14
    assert "6 notes and chords after the 8 of the primer (" in music.summary()


@pytest.mark.parametrize(
    ("midi", "found"),
    [
        (midi_of(["A0", "C8", "A0"]), "it has A0 C8"),
        (Midi([]), "it has no notes"),
        (Midi([Note(F(0), F(1), 60, channel=9)]), "it has no notes"),
    ],
)
def test_a_primer_of_which_nothing_is_known_is_refused(checkpoint, tmp_path, midi, found):
    path = tmp_path / "it.mid"
    write_midi(path, midi)
    message = f"it.mid: a primer must have one of the 6 tokens that the model knows, {found}$"
    with pytest.raises(NumpyrnnError, match=message):
        perform(checkpoint, primer=path)


def test_a_primer_that_is_no_midi_file_is_refused(checkpoint, tmp_path):
    (tmp_path / "junk.mid").write_bytes(b"junk")
    for path in ("junk.mid", "nothing.mid", "."):
        with pytest.raises(NumpyrnnError):
            perform(checkpoint, primer=tmp_path / path)


# performing


def test_a_piece_repeats_with_its_seed(checkpoint):
    one, again, other = (perform(checkpoint, 12, seed=seed) for seed in (3, 3, 4))
    assert one == again
    assert one.tokens != other.tokens
    new = perform(checkpoint, 12)
    assert perform(checkpoint, 12, seed=new.seed) == new
    assert new.summary().endswith(f"6 seconds at 120. Seed {new.seed}.")


@pytest.mark.parametrize(
    "wrong",
    [{"tempo": 5}, {"tempo": float("nan")}, {"seed": -1}, {"temperature": -1}, {"top_k": 0}, {"length": 0}],
    ids=str,
)
def test_settings_out_of_range_are_refused(checkpoint, wrong):
    with pytest.raises(NumpyrnnError, match=f"{next(iter(wrong))} must be"):
        perform(checkpoint, **wrong)


def test_a_piece_of_more_than_half_an_hour_is_refused(checkpoint):
    with pytest.raises(NumpyrnnError, match=r"at most 30 minutes, this one would last 33\.3: take a smaller --length"):
        perform(checkpoint, 2000, tempo=60)


# writing


@pytest.mark.parametrize("name", ["x", "x.mid", "x.WAV", "x.png", "x.midi"])
def test_one_name_names_all_three_files(name):
    assert [path.name for path in side_by_side(name)] == ["x.mid", "x.wav", "x.png", "x.musicxml"]
    assert side_by_side("a/op. 1")[0].name == "op. 1.mid"


def test_a_file_needs_a_name():
    with pytest.raises(NumpyrnnError, match=r"a piece must have a file name, got '\.'"):
        side_by_side("")


def test_what_is_written_belongs_together(checkpoint, tmp_path):
    music = perform(checkpoint, 10, seed=1)
    files = music.write(tmp_path / "piece.mid")
    assert files == side_by_side(tmp_path / "piece")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"piece{ending}" for ending in ENDINGS)
    assert tokens_of(read_midi(files[0])) == music.tokens
    with wave.open(str(files[1])) as sound:
        assert 5 <= sound.getnframes() / sound.getframerate() < 7
    assert files[2].read_bytes() == music.png()
    assert music.png().startswith(b"\x89PNG\r\n\x1a\n")
    assert music.wav() == files[1].read_bytes()
    with wave.open(BytesIO(music.wav())) as sound:
        assert np.frombuffer(sound.readframes(44100), np.int16).any()


def test_a_notebook_shows_it(checkpoint):
    page = perform(checkpoint, 3, seed=1)._repr_html_()
    assert "3 notes and chords" in page
    assert page.index("data:image/png;base64,") < page.index("data:audio/wav;base64,")


def test_a_picture_is_drawn_of_every_kind_of_music():
    for tokens, n_primer in [(["C4"], 0), (["0.4.7"], 0), (["C4", "0.4.7", "D4"], 1), (["C4|4|1/16"] * 70, 0)]:
        music = Music(tokens, n_primer, midi_of(tokens), 120, 0)
        assert music.png().startswith(b"\x89PNG")


def test_all_three_are_written_or_none(checkpoint, tmp_path, monkeypatch):
    music = perform(checkpoint, 4, seed=1)
    for ending in ENDINGS:
        (tmp_path / f"piece{ending}").write_text("before")

    def fail(self):
        raise NumpyrnnError("the picture cannot be drawn")

    with monkeypatch.context() as patch:
        patch.setattr(Music, "png", fail)
        with pytest.raises(NumpyrnnError, match="the picture cannot be drawn"):
            music.write(tmp_path / "piece")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {f"piece{e}": "before" for e in ENDINGS}
    with pytest.raises(NumpyrnnError, match=r"piece\.mid"):
        music.write(tmp_path / "piece.mid" / "piece")  # in a file that is no folder


def test_a_soundfont_must_be_one(checkpoint, tmp_path):
    (tmp_path / "junk.sf2").write_bytes(b"junk")
    with pytest.raises(NumpyrnnError, match="soundfont"):
        perform(checkpoint, 4).write(tmp_path / "piece", tmp_path / "junk.sf2")
    assert [path.name for path in tmp_path.iterdir()] == ["junk.sf2"]


def test_the_window_that_is_read_is_drawn_from_what_was_held_out_at_random():
    checkpoint = learned("lstm", split="random")
    material = material_of(checkpoint)
    assert material.held_out == []
    assert len(compose(checkpoint, 3, Sampler(0))) == 3
    assert_array_equal(np.isin(material.unseen.starts, material.learned.starts), False)
