"""Threads that share a stepper: whatever they do, each gets the right logits or a refusal."""

import gc
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import stats
from test_stepper import IDS, V, in_a_thread, make, run

from numpyrnn import NumpyrnnError, Sampler, generate
from numpyrnn.sampling import stream
from numpyrnn.stepper import BUSY, Stepper

pytestmark = pytest.mark.usefixtures("back_end")


def attack(stepper, ids, expected, seed, together):
    """Reset, step, stream and leave in random order; the numbers of right and refused calls."""
    rng, right, refused, place = np.random.default_rng(seed), 0, 0, None
    together.wait(600)
    for _ in range(60):
        try:
            if rng.random() < 0.2:
                place = None
                stepper.reset()
                place = 0
            elif rng.random() < 0.2:
                place = None
                written = stream(stepper, ids[:3], Sampler(seed))
                got = [next(written) for _ in range(rng.integers(1, 9))]
                assert got == expected["written", seed][: len(got)]
                if rng.random() < 0.5:
                    written.close()  # otherwise the generator is abandoned
            elif place is not None and place < len(ids):
                logits = stepper(int(ids[place]))
                assert_array_equal(logits, expected["logits"][place])
                place += 1
            right += 1
        except NumpyrnnError as error:
            if str(error) != BUSY:
                raise
            refused, place = refused + 1, None
    return right, refused


@pytest.mark.torture
def test_threads_that_share_a_stepper_get_the_right_numbers_or_are_refused(rounds, tell):
    model, right, refused = make("LSTM GRU Dense"), 0, 0
    expected = {"logits": run(Stepper(model))}
    for seed in range(4):
        written = stream(model, IDS[:3], Sampler(seed))
        expected["written", seed] = [next(written) for _ in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(rounds(5, 300)):
            stepper, together = Stepper(model), Barrier(4)
            with ThreadPoolExecutor(4) as pool:
                outcomes = [pool.submit(attack, stepper, IDS, expected, seed, together) for seed in range(4)]
                for outcome in outcomes:
                    right, refused = right + outcome.result()[0], refused + outcome.result()[1]
    finally:
        sys.setswitchinterval(interval)
    assert right
    assert refused
    tell(f"4 threads that share a stepper: {right:,} calls right, {refused:,} refused, none wrong")


def test_a_reset_cannot_come_between_while_a_step_is_taken():
    stepper, inside, leave = Stepper(make("LSTM Dense")), Event(), Event()
    expected, advance = run(stepper)[0], stepper.advance
    stepper.reset()

    def slow(token):
        logits = advance(token)
        inside.set()
        leave.wait(600)
        return logits

    stepper.advance = slow
    with ThreadPoolExecutor(1) as pool:
        for use in (stepper.reset, lambda: stepper(1), lambda: next(stream(stepper, IDS[:2], Sampler(2)))):
            inside.clear()
            leave.clear()
            late = pool.submit(lambda: stepper.reset() or stepper(int(IDS[0])))
            assert inside.wait(600)
            with pytest.raises(NumpyrnnError, match="a Stepper writes one sequence at a time"):
                use()
            leave.set()
            assert_array_equal(late.result(), expected)


def test_logits_stay_what_they_are_when_others_use_the_stepper():
    stepper = Stepper(make("GRU Dense"))
    first = stepper(1)
    kept = first.copy()
    stepper(2)
    in_a_thread(stepper.reset)
    assert_array_equal(first, kept)


def test_a_later_thread_does_not_inherit_the_stepper_of_one_that_has_ended():
    made = in_a_thread(lambda: [Stepper(make("LSTM Dense")) for _ in range(20)])
    for stepper in made:  # the system may give a new thread the number of the old one
        with pytest.raises(NumpyrnnError, match="only in the thread that made or last reset it"):
            in_a_thread(lambda stepper=stepper: stepper(0))


def test_a_sequence_may_go_on_in_another_thread():
    stepper = Stepper(make("LSTM Dense"))
    (expected,) = generate(stepper, IDS[:2], Sampler(1), 12)
    written = stream(stepper, IDS[:2], Sampler(1))
    got = [in_a_thread(lambda: next(written)) if i % 3 else next(written) for i in range(12)]
    assert_array_equal(got, expected)


@pytest.mark.slow
@pytest.mark.parametrize("in_a_circle", [False, True])
def test_an_abandoned_sequence_frees_the_stepper_when_it_is_collected(in_a_circle):
    stepper = Stepper(make("LSTM Dense"))
    holder = [stream(stepper, IDS[:2], Sampler(1))]
    next(holder[0])
    if in_a_circle:
        holder.append(holder)
    with pytest.raises(NumpyrnnError, match="a Stepper writes one sequence at a time"):
        stepper.reset()
    del holder
    in_a_thread(gc.collect)
    stepper.reset()
    assert len(stepper(1)) == V


def test_an_error_within_frees_the_stepper():
    stepper = Stepper(make("LSTM Dense"))
    with pytest.raises(NumpyrnnError, match="token must be an id"):
        stepper(V)
    assert len(stepper(1)) == V
    sampler = Sampler(0)
    sampler.single = lambda V, dtype: lambda logits: 1 / 0
    with pytest.raises(ZeroDivisionError):
        generate(stepper, IDS[:2], sampler, 5)
    stepper.reset()
    assert len(stepper(1)) == V


def test_threads_may_share_a_sampler():
    sampler, row = Sampler(0), np.log(np.array([0.5, 0.25, 0.125, 0.125], np.float32))
    draw, n = sampler.single(4, row.dtype), 20_000
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            drawn = list(pool.map(lambda _: [draw(row) for _ in range(n // 4)], range(4)))
    finally:
        sys.setswitchinterval(interval)
    assert stats.chisquare(np.bincount(np.ravel(drawn)), n * np.exp(row)).pvalue > 1e-3
    assert len({tuple(ids) for ids in drawn}) == 4
