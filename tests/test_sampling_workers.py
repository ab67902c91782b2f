"""Sequences divided among workers, each with a stream of its own to draw from."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import stats

from numpyrnn import GRU, Dense, NumpyrnnError, Sequential, sampling
from numpyrnn.sampling import BLOCK, Sampler, generate, uniforms
from numpyrnn.stepper import Stepper

V, H, STOP = 6, 8, 0
WILD = 4.0  # a temperature at which sequences end sooner or later
RNG = np.random.default_rng(8)


@pytest.fixture(autouse=True)
def _small_models_are_divided_too(monkeypatch):
    monkeypatch.setattr(sampling, "WORTH", 0)


def make():
    """A model with weights so large that what it writes depends on all it has read."""
    model = Sequential(GRU(V, H, np.float64, rng=0), Dense(H, V, np.float64, rng=1))
    model.params.flat[...] = np.random.default_rng(35).normal(0, 2.5, model.params.flat.shape)
    return model


def lists(sequences):
    return [sequence.tolist() for sequence in sequences]


def written_by(n, N=50, steps=12, stop=STOP, seed=3, **kwargs):
    prompts, sampler = np.tile([[2], [5]], (1, N)), Sampler(seed, **({"temperature": WILD} | kwargs))
    return lists(generate(make(), prompts, sampler, steps, stop, workers=n))


@pytest.mark.parametrize(
    "kwargs", [{}, {"temperature": 0}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.8}], ids=str
)
def test_what_each_sequence_draws_does_not_depend_on_the_number_of_workers(kwargs):
    one = written_by(1, **kwargs)
    for n in (2, 3, 50, 100):
        assert written_by(n, **kwargs) == one
    if kwargs != {"temperature": 0}:
        assert written_by(2, seed=4, **kwargs) != one


def test_sequences_beyond_a_block_wait_and_draw_from_their_own_streams_too():
    N = BLOCK + 700
    one = written_by(1, N)
    assert len(one) == N
    assert len({len(ids) for ids in one}) > 2
    assert written_by(2, N) == written_by(3, N) == one
    assert len(set(map(tuple, one))) > N / 2  # no two share a stream


def test_one_sequence_has_a_stream_of_its_own_and_state_and_prompt_are_each_sequences_own():
    model, sampler = make(), Sampler(3, WILD)
    assert len(generate(model, [1], sampler, 5, workers=2)[0]) == 5
    prompts = RNG.integers(0, V, (3, 9))
    _, state, _ = model.forward(RNG.integers(0, V, (4, 9)))
    expected = lists(generate(model, prompts, Sampler(0, 0), 8, None, state))
    assert len(set(map(tuple, expected))) > 5
    for n in (1, 2, 4):
        assert lists(generate(model, prompts, Sampler(0, 0), 8, None, state, workers=n)) == expected


def test_ids_drawn_with_streams_are_distributed_as_the_sampler_says():
    model, n = make(), 20_000
    first, second = np.array(written_by(2, n, 2, None)).T
    likeliest = np.bincount(first).argmax()
    for ids, prompt in ((first, [2, 5]), (second[first == likeliest], [2, 5, likeliest])):
        logits, _, _ = model.forward(np.array(prompt)[:, None])
        p = Sampler(0, WILD).probabilities(logits[-1])[0]
        assert (p * len(ids) > 5).all()
        assert stats.chisquare(np.bincount(ids, minlength=V), len(ids) * p).pvalue > 1e-3


def test_uniforms_are_those_of_splitmix64():
    # The first outputs of the authors' generator with seed 0 (and, there, with the seed 1234567).
    published = {0: [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4], 1234567: [6457827717110365317, 3203168211198807973]}
    for seed, outputs in published.items():
        found = uniforms(np.full(2, seed, np.uint64), np.arange(2))
        assert_array_equal(found, [(output >> 11) / 2**53 for output in outputs])


def test_uniforms_fill_the_interval_evenly_within_and_across_streams():
    keys = np.random.default_rng(1).integers(0, 2**64, 300, np.uint64)
    u = np.array([uniforms(keys, np.full(300, t)) for t in range(300)])  # (draws, streams)
    assert ((u >= 0) & (u < 1)).all()
    assert stats.kstest(u.ravel(), "uniform").pvalue > 1e-3
    for one, next_ in ((u[:-1], u[1:]), (u[:, :-1], u[:, 1:])):  # pairs in one stream, and of neighbours
        cells = np.bincount((10 * one).astype(int).ravel() * 10 + (10 * next_).astype(int).ravel(), minlength=100)
        assert stats.chisquare(cells).pvalue > 1e-3
    close = np.arange(300, dtype=np.uint64)  # keys in a row
    assert stats.kstest(uniforms(close, np.zeros(300, int)), "uniform").pvalue > 1e-3


def test_uniforms_that_are_given_are_drawn_with():
    logits = np.log([[0.5, 0.25, 0.25]] * 4)
    assert Sampler(0).draw(logits, np.array([0.0, 0.49, 0.51, 0.76])).tolist() == [0, 0, 1, 2]
    with pytest.raises(NumpyrnnError, match=r"u must have shape \(4,\), got \(3,\)"):
        Sampler(0).draw(logits, np.zeros(3))
    assert Sampler(0, top_k=1).draw(logits, np.array([0.0, 0.49, 0.51, 1 - 2.0**-53])).tolist() == [0] * 4


def test_workers_that_cannot_be_are_named():
    for n in (0, 1.5, "2"):
        with pytest.raises(NumpyrnnError, match="workers must be a whole number of at least 1"):
            written_by(n)
    with pytest.raises(NumpyrnnError, match=r"a Stepper writes one sequence after the other, .* must be None"):
        generate(Stepper(make()), [1], Sampler(0), 5, workers=2)
