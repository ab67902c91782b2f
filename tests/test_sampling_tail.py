"""The distribution holds in its tail: draws against exact arithmetic, and counts of rare ids."""

from bisect import bisect_right
from decimal import Decimal, localcontext
from itertools import accumulate

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from numpyrnn import GRU, Dense, NumpyrnnError, Sequential
from numpyrnn.sampler import MANY, NARROW, Sampler
from numpyrnn.sampling import generate, stream
from numpyrnn.stepper import Stepper

RNG = np.random.default_rng(0)
EPS = np.finfo(np.float64).eps


def exact(row, temperature=1.0):
    """The sums of the probabilities of the first ids, in arithmetic of 60 digits."""
    with localcontext(prec=60):
        heated = [None if x == -np.inf else Decimal(x) / Decimal(temperature) for x in row.tolist()]
        largest = max(x for x in heated if x is not None)
        sums = list(accumulate(Decimal(0) if x is None else (x - largest).exp() for x in heated))
        return [part / sums[-1] for part in sums]


def telling(sums, n):
    """Random numbers for inversion: evenly spread, near 0 and 1, and on both sides of boundaries between ids."""
    bounds = np.array([float(part) for part in sums])[:-1]
    bounds = RNG.choice(bounds, min(len(bounds), n), replace=False)
    ends = 2.0 ** -RNG.integers(1, 53, n)
    near = [bounds + far for far in (-1e-12, 1e-12, -1e-14, 1e-14, -4e-16, 4e-16)]
    u = np.concatenate([RNG.random(n), ends, 1 - ends, [0, 2.0**-53, 1 - 2.0**-53], *near])
    return u[(u >= 0) & (u < 1)]


def check_draws(row, temperature, u, drawn):
    """The ids are those of exact inversion; where u is at a boundary to the last bits of a sum, either neighbour is."""
    sums = exact(row, temperature)
    slack = Decimal(2 * EPS * len(row))
    for share, got in zip(u.tolist(), drawn.tolist(), strict=True):
        low, high = (bisect_right(sums, Decimal(share) + way * slack) for way in (-1, 1))
        assert low <= got <= min(high, len(row) - 1), (share, got)
        assert row[got] > -np.inf


def rows_with_gaps(V, dtype):
    """A logit far above all others, at the first, middle and last place; ties; minus infinity; anything."""
    for gap in (0, 1, 10, 17, 24, 30):
        for place in {0, V // 2, V - 1}:
            yield np.where(np.arange(V) == place, gap, 0).astype(dtype) + np.array(RNG.normal(0, 100), dtype)
    yield RNG.normal(0, 3, V).astype(dtype)
    yield RNG.integers(0, 2, V).astype(dtype)  # ties
    some = RNG.normal(0, 3, V).astype(dtype)
    some[RNG.permutation(V)[: V // 2]] = -np.inf
    yield some


@pytest.mark.torture
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_draws_with_given_uniforms_are_those_of_exact_arithmetic(dtype, rounds, tell):
    tried = 0
    for V in rounds((2, 27), (2, 27, 300)):
        for row in rows_with_gaps(V, dtype):
            for temperature in rounds((1.0, 0.7), (1.0, 1e-3, 0.3, 3.0, 1e3)):
                u = telling(exact(row, temperature), rounds(20, 100))
                drawn = Sampler(0, temperature).draw(np.tile(row, (len(u), 1)), u)
                check_draws(row, temperature, u, drawn)
                tried += len(u)
    tell(f"{tried:,} draws ({np.dtype(dtype)}, gaps to 30): all those of 60-digit arithmetic")


@pytest.mark.torture
def test_many_short_rows_are_drawn_as_exactly_as_few(rounds, tell):
    tried = 0
    for _ in range(rounds(1, 12)):
        V = int(RNG.integers(2, NARROW))
        rows = list(rows_with_gaps(V, np.float32))
        for row in rows[:: rounds(5, 1)]:
            u = np.resize(telling(exact(row), 50), -(-MANY // V))
            few = np.concatenate([Sampler(0).draw(row[None], u[i : i + 1]) for i in range(250)])
            many = Sampler(0).draw(np.tile(row, (len(u), 1)), u)
            assert_array_equal(many[:250], few)
            check_draws(row, 1.0, u[:250], few)
            tried += 250
        mixed = np.stack([rows[i % len(rows)] for i in range(-(-MANY // V))])
        u = RNG.random(len(mixed))
        for start in (0, len(mixed) // 2):
            part = slice(start, start + 40)
            assert_array_equal(Sampler(0).draw(mixed[part], u[part]), Sampler(0).draw(mixed, u)[part])
    tell(f"{tried:,} draws of blocks that are summed in float32 first: the ids of float64")


@pytest.mark.parametrize("kwargs", [{}, {"temperature": 0.5}, {"top_k": 299}, {"top_p": 1 - 1e-9}], ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_probabilities_keep_their_digits_in_the_tail(kwargs, dtype):
    for gap in (3, 10, 17):
        row = np.concatenate([np.zeros(150), [gap], np.zeros(149)]).astype(dtype) + dtype(5)
        p = Sampler(0, **kwargs).probabilities(row[None])[0]
        kept = p > 0
        assert p.dtype == np.float64
        assert kept.sum() == {"top_k": 299}.get(next(iter(kwargs), ""), 300) or "top_p" in kwargs
        expected = np.exp((row.astype(np.float64) - row.max()) / kwargs.get("temperature", 1.0))
        assert_allclose(p[kept], expected[kept] / expected[kept].sum(), rtol=1e-13)
        if "top_p" in kwargs:
            assert (
                1 - 1e-9 <= (expected[kept] / expected.sum()).sum() <= 1 - 1e-9 + expected[0] / expected.sum() + 1e-15
            )


class Given:
    """A generator of exponentials that are given."""

    def __init__(self, values):
        self.values = values

    def standard_exponential(self, shape):
        return np.resize(self.values, shape)


@pytest.mark.torture
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_draw_is_the_first_of_exponential_arrivals_to_the_last_of_the_tail(dtype, rounds, tell):
    tried = 0
    for V in rounds((2, 27), (2, 27, 300, 5000)):
        for temperature in (1.0, 1e-3, 0.7, 1e3):
            for row in rows_with_gaps(V, dtype):
                waits = np.maximum(RNG.standard_exponential(V) * 10.0 ** -RNG.integers(0, 14, V), 2e-16)
                arrivals = np.log(waits) - row.astype(np.float64) / temperature  # log of Exp(1) / p, to a constant
                first, second = np.sort(arrivals)[:2]
                sampler = Sampler(0, temperature)
                sampler.rng = Given(waits)
                got = sampler.draw_one(row)
                assert got == arrivals.argmin() or second - first < 1e-5
                tried += second - first >= 1e-5
    assert tried > 50
    tell(
        f"{tried:,} single draws ({np.dtype(dtype)}) with given exponentials down to 1e-13: all those of the definition"
    )


@pytest.mark.torture
@pytest.mark.parametrize("one_by_one", [False, True])
def test_rare_ids_are_drawn_as_often_as_they_should_be(one_by_one, rounds, tell):
    n = rounds(60_000, 2_000_000)
    gap = 15.0 if rounds(True, False) else 17.0
    row = np.zeros(300, np.float32)
    row[100] = gap
    rare = 299 / (299 + np.exp(gap))
    sampler, expected = Sampler(11), n * rare
    if one_by_one:
        draw = sampler.single(300, row.dtype)
        found = sum(draw(row) != 100 for _ in range(n))
    else:
        found = sum(int((sampler.draw(np.tile(row, (5000, 1))) != 100).sum()) for _ in range(n // 5000))
    assert stats.binomtest(found, n, rare).pvalue > 1e-3
    tell(f"{found} rare ids of {n:,} draws {'one by one' if one_by_one else 'in batches'}, {expected:.1f} expected")


@pytest.mark.parametrize("temperature", [1.0, 1e-3, 1e-7, 1e-30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ties_far_from_zero_are_drawn_evenly_at_any_temperature(temperature, dtype):
    row = np.array([1e4, -np.inf, 1e4, 1e3, 1e4], dtype)
    for drawn in (
        Sampler(1, temperature).draw(np.tile(row, (3000, 1))),
        [Sampler.draw_one(sampler, row) for sampler in [Sampler(2, temperature)] for _ in range(3000)],
    ):
        counts = np.bincount(drawn, minlength=5)
        assert counts[1] == counts[3] == 0
        assert stats.chisquare(counts[[0, 2, 4]]).pvalue > 1e-3


# Rows from which nothing can be drawn

SETTINGS = [{}, {"temperature": 0}, {"temperature": 0.5}, {"top_k": 2}, {"top_p": 0.5}, {"temperature": 0, "top_k": 1}]


@pytest.mark.parametrize("kwargs", SETTINGS, ids=str)
@pytest.mark.parametrize(
    ("row", "came"), [([-np.inf] * 3, "-inf"), ([0, np.nan, 1], "nan"), ([0, np.inf, 1], "inf"), ([np.nan] * 3, "nan")]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_without_a_largest_number_is_an_error_however_it_is_drawn(row, came, kwargs, dtype):
    row = np.array(row, dtype)
    block = np.zeros((MANY // 3 + 1, 3), dtype)
    block[-1] = row
    sampler = Sampler(0, **kwargs)
    for draw, logits in [
        (sampler.draw, np.stack([np.zeros(3, dtype), row])),
        (sampler.draw, block),
        (sampler.probabilities, row[None]),
        (sampler.draw_one, row),
        (sampler.single(3, row.dtype), row),
    ]:
        with pytest.raises(NumpyrnnError, match=rf"^the largest logit of a row must be finite, got {came}$"):
            draw(logits)


@pytest.mark.parametrize("kwargs", SETTINGS, ids=str)
def test_a_model_that_gives_no_logit_writes_nothing(kwargs):
    model = Sequential(GRU(4, 3, rng=0), Dense(3, 4, rng=1))
    model.params["1.b"][...] = -np.inf
    sampler = Sampler(0, **kwargs)
    for write in (
        lambda: generate(model, [1], sampler, 5),
        lambda: generate(Stepper(model), [1], sampler, 5),
        lambda: generate(model, np.ones((1, 6), int), sampler, 5),
        lambda: generate(model, np.ones((1, 6), int), sampler, 5, workers=2),
        lambda: next(stream(model, [1], sampler, window=3)),
    ):
        with pytest.raises(NumpyrnnError, match=r"^the largest logit of a row must be finite, got -inf$"):
            write()
    model.params["1.b"][2] = 0
    assert set(np.concatenate(generate(model, np.ones((1, 6), int), sampler, 5))) == {2}
    assert set(generate(model, [1], sampler, 5)[0]) == {2}


@pytest.mark.parametrize("logits", [np.zeros((2, 0)), np.zeros((2, 3), complex), [["a", "b"]], np.zeros(3)], ids=str)
def test_what_is_not_a_row_of_real_numbers_is_named(logits):
    for draw in (Sampler(0).draw, Sampler(0).probabilities, Sampler(0, 0).draw):
        with pytest.raises(NumpyrnnError, match=r"^logits must "):
            draw(logits)
    with pytest.raises(NumpyrnnError, match=r"^logits must "):
        Sampler(0).draw_one(np.zeros(0))
    assert Sampler(0).draw_one([0, 9999, 0]) == Sampler(0).draw([[0, 9999, 0]])[0] == 1
