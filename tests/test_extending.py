"""A new cell, optimiser, loss, chord quality or program is written in one place; nothing else is changed for it.

The program stands in `poems.py`, the others here. Their limits are in formatted lines and are tested too.
"""

import inspect
import json
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import poems
import pytest
from click.testing import CliRunner
from music21 import converter, harmony
from numpy.testing import assert_allclose, assert_array_equal

import jazz
from jazz import chords
from jazz.reading.estimate import estimate_chords
from music.midi import Note
from numpyrnn import (
    LSTM,
    Dense,
    Dropout,
    NumpyrnnError,
    Sampler,
    Sequential,
    Trainer,
    Vocabulary,
    generate,
    load,
    save,
    threads,
)
from numpyrnn.activations import log_softmax, sigmoid
from numpyrnn.batches import Batch, padded, streams
from numpyrnn.cells import Cell
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.gradcheck import check_layer
from numpyrnn.layer import glorot
from numpyrnn.optim import Optimizer
from numpyrnn.recurrent import Recurrent


class PeepholeCell(Cell):
    """LSTM whose gates see c (Gers and Schmidhuber 2000): p (3, H) is multiplied with c_{t-1} (i, f) and c_t (o)."""

    gates, n_states = 4, 2

    @classmethod
    def shapes(cls, D, H):
        return super().shapes(D, H) | {"p": (3, H)}

    def forward(self, t, n):
        z, (h, c), p = self.z[:, t, :n], self.states, self.p["p"]
        z += self.hWh[:, :n]
        z[1:3] = sigmoid(z[1:3] + p[1:, None] * c[t, :n])
        z[3] = np.tanh(z[3])
        c[t + 1, :n] = z[1] * z[3] + z[2] * c[t, :n]
        z[0] = sigmoid(z[0] + p[0] * c[t + 1, :n])
        h[t + 1, :n] = z[0] * np.tanh(c[t + 1, :n])

    def backward(self, t, n):
        (o, i, f, g), c, p = self.z[:, t, :n], self.states[1], self.p["p"]
        dz, (dh, dc), tanh_c = self.dz[:, t, :n], [d[:n] for d in self.dstates], np.tanh(c[t + 1, :n])
        dz[0] = dh * tanh_c * o * (1 - o)
        dc += dh * o * (1 - tanh_c**2) + dz[0] * p[0]
        dz[1] = dc * g * i * (1 - i)
        dz[2] = dc * c[t, :n] * f * (1 - f)
        dz[3] = dc * i * (1 - g**2)
        dc *= f
        dc += dz[1] * p[1] + dz[2] * p[2]

    def own_gradients(self, grads):
        c = self.states[1]
        grads["p"][0] = (self.dz[0] * c[1:]).sum((0, 1))
        grads["p"][1:] = (self.dz[1:3] * c[:-1]).sum((1, 2))


class PeepholeLSTM(Recurrent):
    cell = PeepholeCell


class ResetBeforeCell(Cell):
    """GRU that resets h before the product (Cho et al. 2014): n = tanh(x Wx[2] + (r h) U + b[2])."""

    gates, straight = 3, True
    from_h = ((slice(0, 2), slice(0, 2)),)

    @classmethod
    def shapes(cls, D, H):
        return {"Wx": (3, D, H), "Wh": (2, H, H), "b": (3, H), "U": (H, H)}

    def forward(self, t, n):
        z, (h,) = self.z[:, t, :n], self.states
        z[:2] = sigmoid(z[:2] + self.hWh[:, :n])
        z[2] = np.tanh(z[2] + (z[0] * h[t, :n]) @ self.p["U"])
        h[t + 1, :n] = (1 - z[1]) * z[2] + z[1] * h[t, :n]

    def backward(self, t, n):
        (r, z, c), h, dh, dz = self.z[:, t, :n], self.states[0][t, :n], self.dstates[0][:n], self.dz[:, t, :n]
        dz[2] = dh * (1 - z) * (1 - c**2)
        drh = dz[2] @ self.p["U"].T
        dz[0] = drh * h * r * (1 - r)
        dz[1] = dh * (h - c) * z * (1 - z)
        self.back[0, :n] = dh * z + drh * r

    def own_gradients(self, grads):
        rh, dn = self.z[0] * self.states[0][:-1], self.dz[2]
        grads["U"][...] = rh.reshape(-1, rh.shape[-1]).T @ dn.reshape(-1, dn.shape[-1])


class ResetBeforeGRU(Recurrent):
    cell = ResetBeforeCell

    def __init__(self, *sizes, rng=None, **settings):
        rng = np.random.default_rng(rng)
        super().__init__(*sizes, rng=rng, **settings)
        self.params["U"] = glorot(rng, self.hidden_size, self.hidden_size)


class Lion(Optimizer):
    """Chen et al. 2023."""

    slots = ("m",)

    def __init__(self, learning_rate=1e-4, beta1=0.9, beta2=0.99):
        super().__init__(learning_rate)
        self.beta1, self.beta2 = beta1, beta2

    def step(self, params, grad, rate):
        m = self.state["m"]
        params -= rate * np.sign(self.beta1 * m + (1 - self.beta1) * grad)
        m += (1 - self.beta2) * (grad - m)


def focal(logits, targets, mask=None):
    """-(1 - p)^2 log p of the target (Lin et al. 2017), mean over the targets that count, and its gradient."""
    log_p = log_softmax(logits)
    p, target = np.exp(log_p), np.eye(logits.shape[-1], dtype=logits.dtype)[targets]
    log_q = (log_p * target).sum(-1, keepdims=True)
    q, counts = np.exp(log_q), np.ones(targets.shape, bool) if mask is None else mask
    slope = 2 * (1 - q) * q * log_q - (1 - q) ** 2  # of the loss, over log q
    weight = (counts / counts.sum())[..., None].astype(logits.dtype)
    return float((-((1 - q) ** 2) * log_q * weight).sum()), slope * (target - p) * weight


CELLS = [(PeepholeCell, PeepholeLSTM), (ResetBeforeCell, ResetBeforeGRU)]
layers = pytest.mark.parametrize("layer", [layer for _, layer in CELLS])
D, H, T, N = 3, 4, 5, 4
IDS = np.random.default_rng(0).integers(0, 6, 300)


def lines_of(*things):
    return sum(len(inspect.getsource(thing).rstrip().splitlines()) for thing in things)


@pytest.mark.parametrize(
    ("things", "limit"),
    [*((pair, 40) for pair in CELLS), ((Lion,), 15), ((focal,), 20)],
    ids=["peephole LSTM", "GRU", "Lion", "focal loss"],
)
def test_each_is_short(things, limit):
    assert lines_of(*things) <= limit


def model_of(layer, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    own = layer(6, 8, dtype=dtype, rng=rng)
    model = Sequential(own, Dropout(0.2), Dense(8, 6, dtype, rng))
    model.params.flat[...] += rng.normal(0, 0.2, model.params.flat.shape)
    return model


@layers
@pytest.mark.parametrize("x", [np.random.default_rng(1).standard_normal((T, N, D)), IDS[: T * N].reshape(T, N) % D])
@pytest.mark.parametrize("lengths", [None, np.array([5, 2, 0, 4])], ids=["whole", "padded"])
@pytest.mark.parametrize("dropout", [None, 3])
def test_a_cells_gradients_are_right(layer, x, lengths, dropout):
    made = layer(D, H, dtype=np.float64, rng=0, weight_dropout=0.5)
    made.params.flat[...] += np.random.default_rng(2).normal(0, 0.3, made.params.flat.shape)
    for error in check_layer(made, x, lengths, dropout):
        assert error.ok, error


@layers
@pytest.mark.parametrize("T", [1, 20])
def test_and_of_one_sequence(layer, T):
    made = layer(D, H, dtype=np.float64, rng=0)
    for error in check_layer(made, np.random.default_rng(1).standard_normal((T, 1, D))):
        assert error.ok, error


@layers
def test_the_whole_is_the_pieces(layer):
    model, x = model_of(layer, np.float64), IDS[:40].reshape(10, 4)
    whole, end, _ = model.forward(x)
    first, state, _ = model.forward(x[:3], cache=False)
    second, last, _ = model.forward(x[3:], state)
    assert_allclose(np.concatenate([first, second]), whole, rtol=1e-12)
    assert_allclose(np.concatenate(last[0], axis=-1), np.concatenate(end[0], axis=-1), rtol=1e-12)


@layers
def test_it_trains_on_padded_batches_and_on_streams(layer):
    model = model_of(layer)
    names = [np.arange(k, k + 3 + k % 5) % 6 for k in range(40)]
    trainer = Trainer(model, Lion(0.01), rng=0)
    assert trainer.run(lambda rng: padded(names, 8, rng), 40)[-1]["loss"] < 0.3
    cycle = np.arange(240) % 6
    carried = Trainer(model_of(layer), Lion(0.01), carry=True, rng=0)
    assert carried.run(lambda rng: streams(cycle, 4, 10), 40)[-1]["loss"] < 0.1


@layers
def test_it_is_saved_loaded_and_pickled(layer, tmp_path):
    model, x = model_of(layer), IDS[:40].reshape(10, 4)
    save(tmp_path / "model.npz", model, Vocabulary("abcdef"))
    pickled = pickle.loads(pickle.dumps(model))  # noqa: S301
    for twin in (load(tmp_path / "model.npz").model, pickled, model.copy()):
        assert type(twin[0]) is layer
        assert_array_equal(twin(x), model(x))
        twin.params.flat[...] = 0  # one memory: the model's buffer is the layers'
        assert not twin(x).any()


def test_a_model_file_says_which_class_to_import(tmp_path):
    class Passing(PeepholeLSTM):
        pass

    save(tmp_path / "model.npz", model_of(Passing))
    from numpyrnn.layer import LAYERS

    del LAYERS["Passing"]
    with pytest.raises(NumpyrnnError, match=rf"model.npz: .* the class Passing of {__name__}: import it"):
        load(tmp_path / "model.npz")


@layers
@pytest.mark.parametrize("temperature", [0, 1])
def test_one_sequence_and_many_are_generated_alike(layer, temperature):
    model = model_of(layer, np.float64)
    greedy = [generate(model, IDS[k : k + 3], Sampler(0, 0), 20)[0] for k in range(4)]
    together = generate(model, np.stack([IDS[k : k + 3] for k in range(4)], axis=1), Sampler(0, 0), 20)
    assert_array_equal(together, greedy)
    text = Checkpoint("own", model, Vocabulary("abcdef")).generate("fab", 50, seed=1, temperature=temperature)
    assert len(text) == 50


def test_lion_takes_its_step_and_resumes_to_the_same_bits():
    # by hand: m = 0, grad = (2, -3, 0): sign = (1, -1, 0); then m = 0.01 grad
    lion, params = Lion(0.1), np.array([1.0, 1.0, 1.0])
    lion.update(params, np.array([2.0, -3.0, 0.0]))
    assert_allclose(params, [0.9, 1.1, 1.0])
    assert_allclose(lion.state["m"], [0.02, -0.03, 0.0])

    def trainer():
        return Trainer(model_of(PeepholeLSTM), Lion(0.003), rng=3)

    batches = lambda rng: padded([IDS[k : k + 8] for k in range(0, 96, 8)], 4, rng)  # noqa: E731
    whole, first, second = trainer(), trainer(), trainer()
    whole.run(batches, 4)
    first.run(batches, 2)
    second.restore(first.state())
    second.run(batches, 4)
    assert_array_equal(second.weights, whole.weights)


def test_the_focal_loss_is_right_and_trains_with_two_workers(monkeypatch):
    rng = np.random.default_rng(0)
    logits, targets, mask = rng.standard_normal((3, 4, 6)), rng.integers(0, 6, (3, 4)), rng.random((3, 4)) < 0.7
    loss, gradient = focal(logits, targets, mask)
    p = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    q = np.take_along_axis(p, targets[..., None], -1)[..., 0]
    assert loss == pytest.approx((-((1 - q) ** 2) * np.log(q))[mask].mean())
    for place in np.ndindex(logits.shape):
        change = np.zeros_like(logits)
        change[place] = 1e-6
        slope = (focal(logits + change, targets, mask)[0] - focal(logits - change, targets, mask)[0]) / 2e-6
        assert gradient[place] == pytest.approx(slope, abs=1e-8)

    monkeypatch.setattr(threads, "WORTH", 0)  # so that a small batch, too, is divided
    monkeypatch.setattr(threads, "WORTH_A_STEP", 0)
    lengths = np.array([9, 3, 7, 0, 9, 5])
    x = IDS[:60].reshape(10, 6)
    batch = Batch(x[:-1], x[1:], lengths)
    trainers = [
        Trainer(Sequential(LSTM(6, 8, np.float64, 0), Dense(8, 6, np.float64, 1)), Lion(0.02), loss=focal, workers=n)
        for n in (1, 2)
    ]
    for trainer in trainers:
        trainer.run(lambda rng: [batch] * 3, 20)
    assert trainers[0].history[-1]["loss"] < 0.5 * trainers[0].history[0]["loss"]
    assert_allclose(trainers[1].weights, trainers[0].weights, rtol=1e-9, atol=1e-12)


# a fifth program


VERSES = ["the rose is red", "the rain is grey", "a rose in rain", "red is the rain", "grey is a rose", "rain on red"]


@pytest.fixture
def poems_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("poems.txt").write_text("\n\n".join(f"{one}\n{two}" for one in VERSES for two in VERSES), "utf-8")
    return tmp_path


def run_poems(*arguments):
    done = CliRunner().invoke(poems.app, list(map(str, arguments)))
    assert done.exit_code == 0, done.stderr
    return done.stdout


def test_a_fifth_program_is_short_and_adds_nothing_to_the_packages():
    assert len(Path(poems.__file__).read_text("utf-8").splitlines()) <= 150


def test_a_fifth_program_trains_samples_and_evaluates(poems_folder):
    said = run_poems("train", "poems.txt", "--epochs", 12, "--seed", 1)
    assert said.startswith("32 poems to learn, 4 held out; ")
    assert said.endswith("Model poems.npz, history poems.jsonl, curves poems.png.\n")
    losses = [json.loads(line)["valid_loss"] for line in Path("poems.jsonl").read_text().splitlines()]
    assert len(losses) == 12
    assert min(losses) < 0.8 * losses[0]
    assert Path("poems.png").read_bytes().startswith(b"\x89PNG")
    sampled = run_poems("sample", "--model", "poems.npz", "--seed", 3)
    assert sampled == run_poems("sample", "--model", "poems.npz", "--seed", 3)
    assert set(sampled) <= set("".join(VERSES)) | {"\n"}
    evaluated = run_poems("evaluate", "--model", "poems.npz")
    assert f"{min(losses):.3f}" in evaluated  # the best weights are kept
    assert "Kneser-Ney, order" in evaluated
    assert "Longest run copied: '" in evaluated


def test_a_fifth_program_resumes_to_the_same_bits(poems_folder):
    run_poems("train", "poems.txt", "--epochs", 4, "-o", "whole.npz")
    run_poems("train", "poems.txt", "--epochs", 2, "-o", "half.npz")
    run_poems("train", "--resume", "half.npz", "--epochs", 4)
    assert_array_equal(load("half.npz").model.params.flat, load("whole.npz").model.params.flat)


def test_a_fifth_program_refuses_what_the_others_refuse(poems_folder):
    run_poems("train", "poems.txt", "--epochs", 1)
    before = {path.name: path.read_bytes() for path in poems_folder.iterdir()}
    Path("one.txt").write_text("a single poem", "utf-8")
    for arguments, message in (
        (["train", "poems.txt"], "poems.npz already exists"),
        (["train", "one.txt", "-o", "new.npz"], "one.txt must hold two poems or more"),
        (["train", "--resume", "poems.npz", "--seed", "2"], "a resumed training keeps its settings, got --seed"),
        (["sample", "--model", "poems.txt"], "poems.txt must be a model file"),
    ):
        done = CliRunner().invoke(poems.app, arguments)
        assert done.exit_code != 0
        assert message in done.stderr + str(done.exception)
    Path("one.txt").unlink()
    assert {path.name: path.read_bytes() for path in poems_folder.iterdir()} == before


@pytest.fixture
def quartal():
    """One row in the table of chord qualities."""
    chords.QUALITIES.append(chords.Quality("quartal", (0, 5, 10), prior=0.02))
    yield
    chords.QUALITIES.pop()
    chords.parse_chord.cache_clear()


@pytest.mark.usefixtures("quartal")
def test_a_chord_quality_of_one_row_is_read_played_engraved_and_estimated(tmp_path):
    chord = chords.parse_chord("Cquartal")
    assert (chord.root, chord.tones) == (0, (0, 5, 10))
    assert chords.parse_chord("F#quartal/B").tones == (6, 11, 4)
    solo = jazz.improvise("Cquartal | Ebquartal", seed=1, ending=False)
    voiced = {note.pitch % 12 for note in solo.midi.notes if note.track == 2 and note.onset < 4}
    assert voiced == {0, 5, 10}
    score = converter.parse(solo.write(tmp_path / "solo")[-1], forceSource=True)
    symbols = list(score.recurse().getElementsByClass(harmony.ChordSymbol))
    assert [(symbol.root().name, symbol.chordKindStr) for symbol in symbols] == [("C", "quartal"), ("E-", "quartal")]
    notes = [Note(Fraction(0), Fraction(4), pitch) for pitch in (48, 65, 70)]
    (found,) = estimate_chords(notes, [(Fraction(0), Fraction(4))])
    assert (found.root, {pitch % 12 for pitch in found.pitches}) == (0, {0, 5, 10})


def test_without_its_row_a_chord_quality_is_unknown():
    with pytest.raises(NumpyrnnError, match="got 'Cquartal'"):
        chords.parse_chord("Cquartal")
