"""Sampling: the distribution drawn from, the draws, and sequences one at a time and many at once."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special, stats

from numpyrnn import (
    GRU,
    LSTM,
    RNN,
    CausalConv1D,
    Dense,
    Dropout,
    Embedding,
    GatedStack,
    GlobalMaxPool1D,
    LastStep,
    MaxPool1D,
    NumpyrnnError,
    Sequential,
)
from numpyrnn.sampling import BLOCK, Sampler, generate, stream
from numpyrnn.stepper import Stepper

V, H, STOP = 6, 8, 0
WILD = 4.0  # a temperature at which sequences end sooner or later
ROWS = np.random.default_rng(0).normal(0, 2, (40, V))
SETTINGS = [
    {},
    {"temperature": 0},
    {"temperature": 0.5},
    {"temperature": 3.0},
    {"top_k": 3},
    {"top_p": 0.8},
    {"temperature": 0.7, "top_k": 4, "top_p": 0.9},
]
with_settings = pytest.mark.parametrize("kwargs", SETTINGS, ids=str)


def make(*layers):
    """A model with weights so large that what it writes depends on all it has read; by default a GRU."""
    model = Sequential(*layers or [GRU(V, H, np.float64, rng=0)], Dense(H, V, np.float64, rng=1))
    model.params.flat[...] = np.random.default_rng(35).normal(0, 2.5, model.params.flat.shape)
    return model


MODELS = {
    "RNN": make(RNN(V, H, np.float64, rng=0)),
    "LSTM": make(LSTM(V, H, np.float64, rng=0)),
    "Embedding, GRU, Dropout, LSTM": make(
        Embedding(V, H, np.float64, rng=0), GRU(H, H, np.float64, rng=1), Dropout(0.5), LSTM(H, H, np.float64, rng=2)
    ),
}
models = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


# The distribution


def test_the_plain_distribution_is_the_softmax():
    assert_allclose(Sampler(0).probabilities(ROWS), special.softmax(ROWS, axis=1), rtol=1e-13)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0, 100.0])
def test_logits_are_divided_by_the_temperature(temperature):
    p = Sampler(0, temperature).probabilities(ROWS)
    assert_allclose(p, special.softmax(ROWS / temperature, axis=1), rtol=1e-12)


@pytest.mark.parametrize("temperature", [0, 1e-10, 1e-300])
def test_no_temperature_or_hardly_any_is_greedy(temperature):
    sampler = Sampler(0, temperature)
    assert_array_equal(sampler.probabilities(ROWS), np.eye(V)[ROWS.argmax(axis=1)])
    assert_array_equal(sampler.draw(ROWS), ROWS.argmax(axis=1))
    assert [sampler.draw_one(row) for row in ROWS] == ROWS.argmax(axis=1).tolist()


@pytest.mark.parametrize("k", [1, 2, V - 1, V, V + 10])
def test_top_k_keeps_exactly_the_k_largest(k):
    p = Sampler(0, top_k=k).probabilities(ROWS)
    kept = np.argsort(-ROWS, axis=1)[:, :k]
    expected = np.full_like(ROWS, -np.inf)
    np.put_along_axis(expected, kept, np.take_along_axis(ROWS, kept, axis=1), axis=1)
    assert_allclose(p, special.softmax(expected, axis=1), rtol=1e-12)
    assert ((p > 0).sum(axis=1) == min(k, V)).all()


def test_top_k_keeps_k_among_equals_too():
    assert_array_equal(np.sort(Sampler(0, top_k=2).probabilities(np.zeros((1, V)))), [[0] * (V - 2) + [0.5] * 2])


@given(
    weights=st.lists(st.floats(0.01, 1), min_size=1, max_size=8),
    top_p=st.floats(0, 1, exclude_min=True),
)
@settings(max_examples=100)
def test_top_p_keeps_the_smallest_set_that_reaches_p(weights, top_p):
    p = np.array(weights) / np.sum(weights)
    kept = Sampler(0, top_p=top_p).probabilities(np.log(p)[None])[0]
    inside = kept > 0
    assert_allclose(kept, np.where(inside, p, 0) / p[inside].sum(), rtol=1e-12)
    assert p[inside].min() >= p[~inside].max(initial=0) - 1e-15
    assert p[inside].sum() >= top_p - 1e-12  # it reaches p
    assert p[inside].sum() - p[inside].min() < top_p + 1e-12  # and with one less would not


def test_top_k_comes_before_top_p():
    p = Sampler(0, top_k=3, top_p=0.6).probabilities(np.log([[0.4, 0.2, 0.2, 0.1, 0.1]]))
    assert_allclose(p, [[2 / 3, 1 / 3, 0, 0, 0]], rtol=1e-12)  # 0.5, 0.25, 0.25 of the three: two reach 0.6


@with_settings
def test_rows_sum_to_one_and_the_logits_are_not_written_to(kwargs):
    logits = ROWS.copy()
    logits.flags.writeable = False
    sampler = Sampler(0, **kwargs)
    assert_allclose(sampler.probabilities(logits).sum(axis=1), 1, rtol=1e-14)
    sampler.draw(logits)
    sampler.draw_one(logits[0])


# Draws


@pytest.mark.slow
@with_settings
@pytest.mark.parametrize("one_by_one", [False, True])
def test_frequencies_are_the_distribution(kwargs, one_by_one):
    sampler, row, n = Sampler(5, **kwargs), ROWS[0], 20_000
    drawn = [sampler.draw_one(row) for _ in range(n)] if one_by_one else sampler.draw(np.tile(row, (n, 1)))
    counts, p = np.bincount(drawn, minlength=V), sampler.probabilities(row[None])[0]
    possible = p > 0
    assert not counts[~possible].any()
    if possible.sum() > 1:
        assert stats.chisquare(counts[possible], n * p[possible]).pvalue > 1e-3


@with_settings
def test_drawing_one_by_one_and_all_at_once_have_the_same_frequencies_over_many_rows(kwargs):
    logits = np.tile(ROWS, (50, 1)).astype(np.float32)
    at_once, sampler = Sampler(1, **kwargs).draw(logits), Sampler(2, **kwargs)
    one_by_one = [sampler.draw_one(row) for row in logits]
    table = np.array([np.bincount(drawn, minlength=V) for drawn in (at_once, one_by_one)])
    assert stats.chi2_contingency(table[:, table.any(axis=0)]).pvalue > 1e-3


class Extreme:
    """A generator whose every draw is the most extreme one, in one direction or the other."""

    def __init__(self, high):
        self.high = high

    def random(self, n=None):
        return np.full(() if n is None else n, 1 - 2.0**-53 if self.high else 0.0)

    def standard_exponential(self, shape):
        """In turn the least and the largest, so that neighbours are as far apart as can be."""
        return np.where(np.arange(shape[-1]) % 2 == self.high, 0.0, 100.0) * np.ones(shape)


@pytest.mark.parametrize("high", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "kwargs", [{}, {"temperature": 0.5}, {"temperature": 3.0}, {"top_k": 2}, {"top_p": 0.5}], ids=str
)
@pytest.mark.parametrize("row", [[-np.inf, 1.0, 1.0, -np.inf], [-9e3, 0.0, 0.0, -9e3]], ids=["-inf", "far down"])
def test_an_id_of_probability_zero_is_never_drawn_not_even_at_the_ends(row, kwargs, dtype, high):
    sampler, row = Sampler(0, **kwargs), np.array(row, dtype)
    sampler.rng = Extreme(high)
    assert sampler.draw_one(row) in (1, 2)
    assert set(sampler.draw(np.tile(row, (3, 1))).tolist()) <= {1, 2}


@with_settings
def test_the_same_seed_draws_the_same(kwargs):
    logits = np.tile(ROWS, (5, 1))
    first = Sampler(3, **kwargs).draw(logits)
    assert_array_equal(Sampler(3, **kwargs).draw(logits), first)
    assert_array_equal(Sampler(np.random.default_rng(3), **kwargs).draw(logits), first)
    if kwargs != {"temperature": 0}:
        assert (Sampler(4, **kwargs).draw(logits) != first).any()


@pytest.mark.parametrize("scale", [1e3, 1e30, 8e307])
def test_huge_logits_are_no_trouble(scale):
    logits = scale * np.array([[-1.0, 1.0, 1.0, 0.5]])
    assert_allclose(Sampler(0).probabilities(logits), [[0, 0.5, 0.5, 0]], atol=1e-200)
    assert Sampler(0).draw(logits)[0] in (1, 2)
    assert Sampler(0).draw_one(logits[0]) in (1, 2)


# Sequences


def greedily(model, prompt, steps, state=None, stop=None):
    """The largest logit each time, in the plainest way."""
    logits, state, _ = model.forward(np.array(prompt)[:, None], state)
    written = []
    for _ in range(steps):
        written.append(int(logits[-1, 0].argmax()))
        if written[-1] == stop:
            break
        logits, state, _ = model.forward(np.array([[written[-1]]]), state)
    return written


def lists(sequences):
    return [sequence.tolist() for sequence in sequences]


@models
def test_greedy_sequences_follow_the_largest_logit_and_the_whole_prompt(model):
    prompts = np.random.default_rng(3).integers(0, V, (4, 30))
    expected = [greedily(model, prompt, 10) for prompt in prompts.T]
    assert len(set(map(tuple, expected))) > 5  # the prompt matters
    assert lists(generate(model, prompts, Sampler(0, 0), 10)) == expected
    assert [generate(model, prompt, Sampler(0, 0), 10)[0].tolist() for prompt in prompts.T] == expected
    assert lists(generate(Stepper(model), prompts, Sampler(0, 0), 10)) == expected


@models
def test_more_sequences_than_fit_at_once_take_each_others_places_with_their_own_prompt_and_state(model):
    rng, N = np.random.default_rng(4), BLOCK + 700
    seeds, n_states = rng.integers(0, 3, N), 3
    _, some, _ = model.forward(rng.integers(0, V, (5, n_states)))  # states after three texts
    state = rows_of(some, seeds)
    for P in (1, 2):
        prompts = rng.integers(0, V, (P, N))
        cases = [tuple(case) for case in np.vstack([seeds, prompts]).T.tolist()]
        expected = {case: greedily(model, case[1:], 12, rows_of(some, [case[0]]), STOP) for case in set(cases)}
        assert len({len(ids) for ids in expected.values()}) > 2  # places fall free at different times
        assert lists(generate(model, prompts, Sampler(0, 0), 12, STOP, state)) == [expected[case] for case in cases]


def rows_of(state, rows):
    """The rows of a model's state."""
    if state is None:
        return None
    return tuple(rows_of(part, rows) for part in state) if isinstance(state, tuple) else state[rows]


def test_one_sequence_starts_from_the_state_given():
    model = make()
    _, state, _ = model.forward(np.array([[3], [1], [4]]))
    [got] = generate(model, np.array([2]), Sampler(0, 0), 10, state=state)
    assert got.tolist() == greedily(model, [3, 1, 4, 2], 10)
    assert got.tolist() != greedily(model, [2], 10)


@pytest.mark.parametrize("n", [1, 50, BLOCK + 1500])
def test_each_sequence_ends_at_its_stop_or_after_so_many_steps(n):
    steps = 8
    sequences = lists(generate(make(), np.ones((1, n), int), Sampler(1, WILD), steps, STOP))
    assert len(sequences) == n
    if n > 1:
        assert len({len(ids) for ids in sequences}) > 2
    for ids in sequences:
        assert STOP not in ids[:-1]
        assert len(ids) == steps or ids[-1] == STOP
        assert 1 <= len(ids) <= steps
        assert set(ids) <= set(range(V))


@pytest.mark.parametrize("n", [1, 3])
def test_without_a_stop_there_are_exactly_so_many_steps(n):
    sequences = generate(make(), np.ones((2, n), int), Sampler(0), 20)
    assert [len(ids) for ids in sequences] == [20] * n
    assert all(np.issubdtype(ids.dtype, np.integer) for ids in sequences)
    assert [len(ids) for ids in generate(make(), np.ones((2, n), int), Sampler(0), 0)] == [0] * n


def test_one_at_a_time_and_many_at_once_draw_from_one_distribution():
    model, n, steps = make(), BLOCK + 2000, 30
    together = generate(model, np.ones((1, n), int), Sampler(1, WILD), steps, STOP)
    apart = generate(Stepper(model), np.ones((1, n), int), Sampler(2, WILD), steps, STOP)
    lengths = np.array([[len(ids) for ids in sequences] for sequences in (together, apart)])
    assert 2 < lengths.mean() < steps - 2
    began, waited = np.split(lengths[0], [BLOCK])
    assert stats.ttest_ind(*lengths, equal_var=False).pvalue > 1e-3
    assert stats.ttest_ind(began, waited, equal_var=False).pvalue > 1e-3
    for place in range(3):
        ids = [[sequence[place] for sequence in sequences if len(sequence) > place] for sequences in (together, apart)]
        table = np.array([np.bincount(drawn, minlength=V) for drawn in ids])
        assert stats.chi2_contingency(table[:, table.any(axis=0)]).pvalue > 1e-3


def test_first_ids_are_distributed_as_the_softmax_of_the_logits():
    model, n = make(), 20_000
    logits, _, _ = model.forward(np.array([[2], [5]]))
    drawn = np.concatenate(generate(model, np.tile([[2], [5]], (1, n)), Sampler(3), 1))
    assert stats.chisquare(np.bincount(drawn, minlength=V), n * special.softmax(logits[-1, 0])).pvalue > 1e-3


@with_settings
@pytest.mark.parametrize("n", [1, 20])
def test_the_same_seed_writes_the_same(kwargs, n):
    prompts = np.random.default_rng(0).integers(0, V, (2, n))
    first, again = (lists(generate(make(), prompts, Sampler(7, **kwargs), 15, STOP)) for _ in range(2))
    assert again == first


def test_a_stepper_starts_each_sequence_from_zeros():
    model = make()
    stepper, prompts = Stepper(model), np.array([[1, 1, 1]])
    assert len(set(map(tuple, lists(generate(stepper, prompts, Sampler(0, 0), 9))))) == 1
    assert lists(generate(stepper, [1], Sampler(0, 0), 9)) == [greedily(model, [1], 9)]


def test_prompt_and_state_are_not_written_to():
    model, prompts = make(), np.ones((2, 3), int)
    state = (np.ones((3, H)), None)
    for array in (prompts, state[0]):
        array.flags.writeable = False
    generate(model, prompts, Sampler(0), 5, STOP, state)
    generate(model, prompts[:1], Sampler(0), 5, STOP, state)
    generate(model, prompts[:, 0], Sampler(0), 5)


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"temperature": -1}, "temperature must be at least 0, got -1"),
        ({"temperature": float("nan")}, "temperature must be at least 0, got nan"),
        ({"top_k": 0}, "top_k must be a whole number of at least 1, got 0"),
        ({"top_p": 0}, "top_p must be above 0 and at most 1, got 0"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1, got 1.1"),
    ],
)
def test_a_setting_out_of_range_is_named(kwargs, message):
    with pytest.raises(NumpyrnnError, match=message):
        Sampler(0, **kwargs)


@pytest.mark.parametrize("with_stepper", [False, True])
@pytest.mark.parametrize(
    ("prompt", "steps", "message"),
    [
        ([], 5, r"prompt must be integers of shape \(P,\) or \(P, N\), got float64 \(0,\)"),
        (np.zeros((0, 3), int), 5, r"prompt must be integers of shape \(P,\) or \(P, N\), got int64 \(0, 3\)"),
        (np.zeros((2, 2, 2), int), 5, r"prompt must be integers .*, got int64 \(2, 2, 2\)"),
        ([0.5], 5, r"prompt must be integers .*, got float64 \(1,\)"),
        ([1, V], 5, r"prompt must hold ids from 0 to 5, got 1 to 6"),
        ([[-1, 2]], 5, r"prompt must hold ids from 0 to 5, got -1 to 2"),
        ([1], -1, r"steps must be a whole number of at least 0, got -1"),
    ],
)
def test_a_malformed_prompt_is_named(prompt, steps, message, with_stepper):
    model = Stepper(make()) if with_stepper else make()
    with pytest.raises(NumpyrnnError, match=message):
        generate(model, prompt, Sampler(0), steps)


def test_nan_is_not_drawn_from():
    for draw, logits in ((Sampler(0).draw, np.array([[0.0, np.nan]])), (Sampler(0).draw_one, np.array([0.0, np.nan]))):
        with pytest.raises(NumpyrnnError, match="must be finite, got nan"):
            draw(logits)


def test_a_model_that_a_stepper_cannot_take_writes_one_sequence_too():
    nested = Sequential(Sequential(RNN(3, 4, rng=0)), Dense(4, 3, rng=0))
    (written,) = generate(nested, np.array([1]), Sampler(0), 5)
    assert len(written) == 5


def test_a_state_of_another_number_of_sequences_is_named():
    model = Sequential(RNN(3, 4, rng=0), Dense(4, 3, rng=0))
    with pytest.raises(NumpyrnnError, match="state must have shape"):
        generate(model, np.zeros((1, 2), int), Sampler(0), 5, state=(np.zeros((3, 4), np.float32), None))


# Streams


POOLED = make(Embedding(V, H, np.float64, 0), CausalConv1D(H, H, 2, 1, np.float64, 1), MaxPool1D(), GlobalMaxPool1D())
WAVENET = make(Embedding(V, H, np.float64, 0), GatedStack(H, H, 2, (1, 2), np.float64, 1))
STREAMED = MODELS | {"WaveNet": WAVENET, "last step": make(LSTM(V, H, np.float64, rng=0), LastStep())}
streamed = pytest.mark.parametrize("model", STREAMED.values(), ids=STREAMED)


def streamed_ids(n, *arguments, **options):
    return list(islice(stream(*arguments, **options), n))


@with_settings
@streamed
def test_a_stream_is_what_generate_writes(model, kwargs):
    prompt, n = np.array([1, 4, 2]), 40
    expected = generate(model, prompt, Sampler(7, **kwargs), n)[0].tolist()
    assert streamed_ids(n, model, prompt, Sampler(7, **kwargs)) == expected
    if model is not WAVENET:
        assert streamed_ids(n, Stepper(model), prompt, Sampler(7, **kwargs)) == expected


@pytest.mark.parametrize("model", [*STREAMED.values(), POOLED], ids=[*STREAMED, "pooled"])
def test_with_a_window_each_id_comes_of_a_new_pass_over_the_last_ids(model):
    for window in (2, 5):
        read, sampler = [1, 4, 2], Sampler(7, WILD)
        for _ in range(30):
            logits, _, _ = model.forward(np.array(read[-window:])[:, None])
            read.append(sampler.draw_one(logits[-1, 0]))
        assert streamed_ids(30, model, [1, 4, 2], Sampler(7, WILD), window=window) == read[3:]


@streamed
def test_a_stream_goes_on_and_starts_anew_each_time(model):
    first, second = (streamed_ids(500, model, [3], Sampler(2, WILD)) for _ in range(2))
    assert first == second
    assert set(first) == set(range(V))
    assert first[:20] == streamed_ids(20, model, [3], Sampler(2, WILD))
    if model is not WAVENET:
        stepper = Stepper(model)
        assert [streamed_ids(20, stepper, [3], Sampler(2, WILD)) for _ in range(2)] == [first[:20]] * 2


def test_what_reads_all_steps_at_once_streams_by_windows_only():
    with pytest.raises(NumpyrnnError, match="window"):
        streamed_ids(3, POOLED, [1, 2], Sampler(0))


@pytest.mark.parametrize(
    ("prompt", "options", "message"),
    [
        (np.zeros(0, int), {}, r"prompt must be integers of shape \(P,\), got int64 \(0,\)"),
        ([[1, 2]], {}, r"prompt must be integers of shape \(P,\), got int64 \(1, 2\)"),
        ([0.5], {}, r"prompt must be integers of shape \(P,\), got float64 \(1,\)"),
        ([1, V], {}, r"prompt must hold ids from 0 to 5, got 1 to 6"),
        ([1], {"window": 0}, r"window must be a whole number of at least 1, got 0"),
        ([1], {"window": 2.0}, r"window must be a whole number of at least 1, got 2.0"),
    ],
)
def test_a_stream_names_what_is_wrong_before_it_begins(prompt, options, message):
    for model in (make(), WAVENET):
        with pytest.raises(NumpyrnnError, match=message):
            stream(model, prompt, Sampler(0), **options)
    with pytest.raises(NumpyrnnError, match="window must be None" if options else message):
        stream(Stepper(make()), prompt, Sampler(0), **options)
