"""A step at a time: the same logits as the layers', for every stack of layers."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from passes import Projected, Widened

from numpyrnn import (
    GRU,
    LSTM,
    RNN,
    CausalConv1D,
    Dense,
    Dropout,
    Embedding,
    LastStep,
    NumpyrnnError,
    ReLU,
    Sampler,
    Sequential,
    cells,
    generate,
)
from numpyrnn.sampling import stream
from numpyrnn.stepper import Stepper, can_step

pytestmark = pytest.mark.usefixtures("back_end")
V, H, T = 6, 5, 12
IDS = np.random.default_rng(0).integers(0, V, T)
KINDS = {kind.__name__: kind for kind in (RNN, LSTM, GRU, Dense, Embedding)}
KINDS["HardLSTM"] = partial(LSTM, hard_sigmoid=True)
STACKS = [
    "RNN",
    "LSTM",
    "GRU",
    "Dense",
    "RNN Dense",
    "LSTM Dense",
    "GRU Dense",
    "Dense Dense",
    "Embedding RNN Dense",
    "Embedding Dropout LSTM Dense",
    "Embedding GRU Dropout Dense",
    "LSTM Dropout LSTM Dropout Dense",
    "RNN GRU LSTM Dense",
    "GRU Dense Dense",
    "Embedding Dense RNN Dense GRU Dense",
    "HardLSTM",
    "HardLSTM Dropout HardLSTM Dense",
    "LSTM HardLSTM GRU Dense",
]
stacks = pytest.mark.parametrize("stack", STACKS)


def make(stack, dtype=np.float64):
    """A model of these layers, from V ids by way of H to V numbers, with biases that are not zero."""
    rng, layers, size = np.random.default_rng(1), [], V
    *lower, last = stack.split()
    for name, out in [*((name, H) for name in lower), (last, V)]:
        if name == "Dropout":
            layers.append(Dropout(0.5))
        else:
            layers.append(KINDS[name](size, out, dtype, rng))
            size = out
    model = Sequential(layers)
    model.params.flat[...] += rng.normal(0, 0.3, model.params.flat.shape)
    return model


def run(stepper, ids=IDS):
    """The logits for ids in turn."""
    return np.stack([stepper(token) for token in ids.tolist()])


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@stacks
def test_every_step_is_the_layers(stack, dtype, tolerance):
    model = make(stack, dtype)
    expected, _, _ = model.forward(IDS[:, None])
    got = run(Stepper(model))
    assert got.dtype == dtype
    assert_allclose(got, expected[:, 0], rtol=tolerance, atol=tolerance)


@stacks
def test_reset_goes_back_to_the_start(stack):
    stepper = Stepper(make(stack))
    first = run(stepper)
    if set(stack.split()) != {"Dense"}:
        assert (run(stepper) != first).any()  # the state is kept between the calls
    stepper.reset()
    assert_array_equal(run(stepper), first)


@stacks
def test_later_updates_of_the_model_are_not_seen(stack):
    model = make(stack)
    stepper = Stepper(model)
    first = run(stepper)
    model.params.flat[...] = np.nan
    stepper.reset()
    assert_array_equal(run(stepper), first)


def test_making_a_stepper_leaves_the_model_as_it_was_and_two_are_apart():
    model = make("LSTM GRU Dense")
    before = model.params.flat.copy()
    one, other = Stepper(model), Stepper(model)
    first = run(one)
    assert_allclose(run(other), first, rtol=1e-12)
    assert_array_equal(model.params.flat, before)


def gate_sums(lstm, x):
    """The sums from which a layer's gates are computed, (4, T, N, H), for ids x."""
    h = lstm(x)
    before, p = np.concatenate([np.zeros_like(h[:1]), h[:-1]]), lstm.params
    return np.stack([p["Wx"][k][x] + before @ p["Wh"][k] + p["b"][k] for k in range(4)])


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_the_courses_model_with_hard_sigmoids_and_a_last_step_is_stepped_through(dtype, tolerance):
    rng = np.random.default_rng(1)
    lower = LSTM(V, H, dtype, rng, hard_sigmoid=True), Dropout(0.5), LSTM(H, H, dtype, rng, hard_sigmoid=True)
    model = Sequential(*lower, Dropout(0.5), LastStep(), Dense(H, V, dtype, rng))
    model.params.flat[...] *= 4  # so that gates are at both ends
    gates = gate_sums(model[0], IDS[:, None]) / 5 + 0.5
    assert (gates[:3] <= 0).any()
    assert (gates[:3] >= 1).any()
    assert ((gates > 0) & (gates < 1)).any()
    rows = run(Stepper(model))
    for t in range(T):
        expected, _, _ = model.forward(IDS[: t + 1, None])
        assert expected.shape == (1, 1, V)
        assert_allclose(rows[t], expected[0, 0], rtol=tolerance, atol=tolerance)


def test_sizes_of_input_and_output():
    stepper = Stepper(Sequential(Embedding(11, 3), GRU(3, 4), Dense(4, 9)))
    assert (stepper.input_size, stepper.output_size) == (11, 9)


@pytest.mark.parametrize(
    "model",
    [
        Sequential(Sequential(RNN(V, H)), Dense(H, V)),
        Sequential(RNN(V, H), Embedding(H, V)),
        Sequential(Embedding(V, V)),
        Sequential(Dropout(0.5)),
        Sequential(Embedding(V, H), LastStep()),
        Sequential(Embedding(V, H), CausalConv1D(H, H, 2), Dense(H, V)),
        Sequential(RNN(V, H), ReLU(), Dense(H, V)),
        Sequential(RNN(V, H), LastStep(), RNN(H, H), Dense(H, V)),  # the upper layer sees one step a pass
        Sequential(LSTM(V, H, np.complex128), Dense(H, V, np.complex128)),
    ],
    ids=repr,
)
def test_a_model_it_cannot_step_through_is_refused(model):
    with pytest.raises(
        NumpyrnnError, match=r"Stepper needs RNN, LSTM, GRU and Dense layers of real numbers, got Sequent"
    ):
        Stepper(model)


# Cells of one's own


class LeakyCell(cells.LSTM):
    """An LSTM that changes one equation, in `step`: h = o tanh(c) + c / 2."""

    def step(self, x, views):
        super().step(x, views)
        h, c = views[-1], views[9]
        h += c / 2


class Leaky(LSTM):
    cell = LeakyCell


class ForwardCell(cells.RNN):
    """A tanh RNN that changes its equation in `forward`, which a stepper does not call."""

    def forward(self, t, n):
        super().forward(t, n)
        self.states[0][t + 1] *= -1


class ByForward(RNN):
    cell = ForwardCell


class Negating(GRU):
    """A layer that does more than run its cell."""

    def run(self, x, *rest):
        y, state, kept = super().run(x, *rest)
        return -y, state, kept


class NegatingEmbedding(Embedding):
    def run(self, x, *rest):
        y, state, kept = super().run(x, *rest)
        return -y, state, kept


class NegatingDropout(Dropout):
    def run(self, x, *rest):
        y, state, kept = super().run(x, *rest)
        return -y, state, kept


class NegatingDense(Dense):
    def run(self, x, *rest):
        y, state, kept = super().run(x, *rest)
        return -y, state, kept


class FirstStep(LastStep):
    def where(self, x, padding):
        return 0 * super().where(x, padding)


class NegatingModel(Sequential):
    def run(self, x, *rest):
        y, state, kept = super().run(x, *rest)
        return -y, state, kept


def own(kind, dtype=np.float64):
    """A model of two layers of a kind, the sizes of whose states may differ, between others."""
    first, second = (
        kind(V, H, dtype=dtype, rng=1),
        kind(4, H, dtype=dtype, rng=2, weight_dropout=0.25),
    )
    middle = Dense(first.output_size, 4, dtype, rng=3)
    model = Sequential(first, middle, second, Dense(second.output_size, V, dtype, rng=4))
    model.params.flat[...] += np.random.default_rng(5).normal(0, 0.3, model.params.flat.shape)
    return model


OWN = {kind.__name__: kind for kind in (RNN, LSTM, GRU, Leaky, Projected, Widened)}
OWN["HardLSTM"] = partial(LSTM, hard_sigmoid=True)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("kind", OWN.values(), ids=OWN)
def test_a_cell_is_stepped_through_by_its_own_equations(kind, dtype, tolerance):
    model = own(kind, dtype)
    assert can_step(model)
    assert_allclose(run(Stepper(model)), model(IDS[:, None])[:, 0], rtol=tolerance, atol=tolerance)
    alone = Sequential(kind(V, H, dtype=dtype, rng=1))
    assert_allclose(run(Stepper(alone)), alone(IDS[:, None])[:, 0], rtol=tolerance, atol=tolerance)


def test_a_changed_equation_changes_the_numbers():
    assert (np.abs(run(Stepper(own(Leaky))) - run(Stepper(own(LSTM)))) > 1e-3).any()


CHANGED = {
    "a cell's forward": lambda: Sequential(ByForward(V, H, rng=0), Dense(H, V, rng=1)),
    "run of a recurrent layer": lambda: Sequential(Negating(V, H, rng=0), Dense(H, V, rng=1)),
    "run of a dense layer": lambda: Sequential(RNN(V, H, rng=0), NegatingDense(H, V, rng=1)),
    "run of an embedding": lambda: Sequential(NegatingEmbedding(V, H, rng=0), RNN(H, H, rng=1), Dense(H, V, rng=2)),
    "run of a dropout": lambda: Sequential(RNN(V, H, rng=0), NegatingDropout(0.5), Dense(H, V, rng=1)),
    "where of a last step": lambda: Sequential(RNN(V, H, rng=0), FirstStep(), Dense(H, V, rng=1)),
    "run of the model": lambda: NegatingModel(RNN(V, H, rng=0), Dense(H, V, rng=1)),
}


@pytest.mark.parametrize("make_model", CHANGED.values(), ids=CHANGED)
def test_a_model_that_does_more_than_a_step_knows_is_not_stepped_through(make_model):
    model = make_model()
    assert not can_step(model)
    with pytest.raises(NumpyrnnError, match=r"^Stepper needs RNN, LSTM, GRU and Dense layers of real numbers, got .*$"):
        Stepper(model)


@pytest.mark.parametrize("name", [name for name in CHANGED if name != "where of a last step"])  # it has no steps
def test_and_writes_by_its_own_passes(name):
    model, read = CHANGED[name](), [1, 4, 2]
    model.params.flat[...] = np.random.default_rng(0).normal(0, 2, model.params.flat.shape)
    [written] = generate(model, np.array(read), Sampler(0, 0), 8)
    for token in written:
        logits = model(np.array(read)[:, None])
        assert token == logits[-1, 0].argmax()
        read.append(token)


# Threads


def in_a_thread(function):
    """What the function gives in a thread of its own, or the error that it raises."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_another_thread_is_refused_in_one_line_until_it_resets_the_stepper():
    stepper = Stepper(make("LSTM Dense"))
    expected = run(stepper)
    with pytest.raises(NumpyrnnError, match="only in the thread that made or last reset it"):
        in_a_thread(lambda: stepper(0))

    def reset_and_run():
        stepper.reset()
        return run(stepper)

    assert_array_equal(in_a_thread(reset_and_run), expected)
    with pytest.raises(
        NumpyrnnError, match="only in the thread that made or last reset it"
    ):  # now it serves the other one
        stepper(0)
    stepper.reset()
    assert_array_equal(run(stepper), expected)


def test_a_refused_call_changes_nothing():
    stepper = Stepper(make("GRU Dense"))
    first = run(stepper, IDS[:5])
    with pytest.raises(NumpyrnnError):
        in_a_thread(lambda: stepper(0))
    again = Stepper(make("GRU Dense"))
    assert_array_equal(run(again, IDS[:5]), first)
    assert_array_equal(run(stepper, IDS[5:]), run(again, IDS[5:]))


class LateReader(cells.RNN):
    """A cell whose step reads the old state after overwriting it with the new one."""

    def at(self, t, n):
        return *super().at(t, n), self.states[0][None, t, :n]

    def step(self, x, views):
        h, hWh, h_prev = views
        np.tanh(x + hWh, h)
        h += self.share * h_prev


@pytest.mark.parametrize("share", [1, 0.1])
def test_a_cell_that_reads_a_state_after_it_has_written_it_is_refused(monkeypatch, share):
    monkeypatch.setattr(LateReader, "share", share, raising=False)

    class Late(RNN):
        cell = LateReader

    with pytest.raises(NumpyrnnError, match="must read a state before it writes the new one"):
        Stepper(Sequential(Late(V, H, rng=0), Dense(H, V, rng=1)))


def test_layers_and_models_with_a_forward_of_their_own_are_not_stepped():
    class Doubled(LSTM):
        def forward(self, x, *rest, **options):
            y, state, cache = super().forward(x, *rest, **options)
            return 2 * y, state, cache

    class Model(Sequential):
        def forward(self, x, *rest, **options):
            y, state, cache = super().forward(x, *rest, **options)
            return -y, state, cache

    for model in (Sequential(Doubled(V, H), Dense(H, V)), Model(LSTM(V, H), Dense(H, V))):
        assert not can_step(model)


def test_while_a_sequence_is_written_nobody_else_moves_its_stepper():
    stepper = Stepper(make("LSTM Dense"))
    (expected,) = generate(stepper, IDS[:2], Sampler(1), 8)
    written = stream(stepper, IDS[:2], Sampler(1))
    got = [next(written)]
    for use in (stepper.reset, lambda: stepper(1), lambda: next(stream(stepper, IDS[:2], Sampler(2)))):
        with pytest.raises(NumpyrnnError, match="a Stepper writes one sequence at a time"):
            use()
    got += [next(written) for _ in range(7)]
    assert_array_equal(got, expected)
    written.close()
    stepper.reset()
    assert len(stepper(1)) == V


@pytest.mark.parametrize("token", [-1, V])
def test_an_id_out_of_range_is_refused(token):
    with pytest.raises(NumpyrnnError, match=rf"^token must be an id from 0 to {V - 1}, got {token}$"):
        Stepper(make("LSTM Dense"))(token)


def test_a_model_of_a_single_id_is_stepped_too():
    model = Sequential(GRU(1, 3, np.float64, rng=0), Dense(3, 2, np.float64, rng=1))
    step = Stepper(model)
    expected = model(np.zeros((4, 1), int))[:, 0]
    assert_allclose([step(0).copy() for _ in range(4)], expected, rtol=1e-12)
