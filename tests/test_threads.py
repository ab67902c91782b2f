"""The library's long calls use one thread, or as many as chosen, and restore the pools afterwards."""

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg  # noqa: F401 (loads SciPy's pool)
from threadpoolctl import threadpool_info, threadpool_limits

from numpyrnn import LSTM, Dense, GlobalMaxPool1D, NumpyrnnError, Sequential, threads
from numpyrnn.batches import Batch
from numpyrnn.losses import softmax_cross_entropy
from numpyrnn.optim import SGD
from numpyrnn.sampling import Sampler, generate, stream
from numpyrnn.stepper import Stepper
from numpyrnn.threads import blas_threads, chosen, loss_and_gradients, run_all
from numpyrnn.train import Trainer, mean_loss

BEFORE = 3  # threads that the pools have, however many cores there are


def counts():
    """The threads of NumPy's pool, and of SciPy's."""
    by_library = {threads._is_scipys(p["filepath"]): p["num_threads"] for p in threadpool_info() if is_blas(p)}
    if set(by_library) != {False, True}:
        pytest.skip("NumPy and SciPy have no pools of their own here")
    return by_library[False], by_library[True]


def is_blas(pool):
    return pool["user_api"] == "blas"


@contextmanager
def pools_of(n):
    with threadpool_limits(n, user_api="blas"):
        assert counts() == (n, n)
        yield


@pytest.fixture(autouse=True)
def _pools_and_an_environment_without_settings(monkeypatch):
    for name in threads.SETTINGS:
        monkeypatch.delenv(name, raising=False)
    with pools_of(BEFORE):
        yield
        assert counts() == (BEFORE, BEFORE)


@pytest.mark.parametrize(("n", "expected"), [(None, (1, 1)), (1, (1, 1)), (2, (2, 1)), (BEFORE, (BEFORE, 1))])
def test_the_limit_holds_inside_and_what_was_before_afterwards(n, expected):
    with blas_threads(n):
        assert counts() == expected
    assert counts() == (BEFORE, BEFORE)


def test_everything_is_as_before_after_an_error():
    with pytest.raises(ZeroDivisionError), blas_threads(2):
        raise ZeroDivisionError
    assert counts() == (BEFORE, BEFORE)
    with blas_threads():  # nor is the choice left behind
        assert counts() == (1, 1)


def test_what_is_set_already_is_never_raised():
    with blas_threads(8):
        assert counts() == (BEFORE, 1)
    with pools_of(1), blas_threads(2):
        assert counts() == (1, 1)
    with blas_threads(1), blas_threads(2):
        assert counts() == (1, 1)


@pytest.mark.parametrize("name", threads.SETTINGS)
@pytest.mark.parametrize(
    ("value", "n"), [("1", 1), ("2", 2), (" 2", 2), ("2,1", 2), ("9", BEFORE), ("", 1), ("0", 1), ("many", 1)]
)
def test_the_environment_says_how_many_where_nobody_chooses(name, value, n, monkeypatch):
    monkeypatch.setenv(name, value)
    with blas_threads():
        assert counts() == (n, 1)
    with blas_threads(1):
        assert counts() == (1, 1)


def test_the_number_chosen_outside_is_the_default_inside():
    with blas_threads(2):
        with blas_threads():
            assert counts() == (2, 1)
        with blas_threads(1), blas_threads():
            assert counts() == (1, 1)
        assert counts() == (2, 1)


def test_python_threads_that_overlap_get_the_smallest_number_and_the_last_one_out_restores():
    inside, leave = threading.Event(), threading.Event()

    def other():
        with blas_threads():  # does not see the choice of 2: it is another thread's
            inside.set()
            leave.wait(600)

    thread = threading.Thread(target=other)
    with blas_threads(2):
        assert counts() == (2, 1)
        thread.start()
        assert inside.wait(600)
        assert counts() == (1, 1)
    assert counts() == (1, 1)
    leave.set()
    thread.join()
    assert counts() == (BEFORE, BEFORE)


@pytest.mark.parametrize("n", [0, -1, 1.5, True, "2"])
def test_a_number_of_threads_is_a_whole_number_of_at_least_one(n):
    with pytest.raises(NumpyrnnError, match="n must be a whole number of at least 1"), blas_threads(n):
        pytest.fail("got inside")


def test_as_a_decorator_it_limits_every_call():
    limited_counts = blas_threads()(counts)
    assert [limited_counts(), counts(), limited_counts()] == [(1, 1), (BEFORE, BEFORE), (1, 1)]


def recording(function, seen):
    def call(*args, **kwargs):
        seen.append(counts())
        return function(*args, **kwargs)

    return call


def model_and_batch(dtype=np.float32):
    V, H, N, T = 90, 64, 60, 30  # two threads round some of its gradients otherwise
    model, rng = Sequential(LSTM(V, H, dtype=dtype, rng=0), Dense(H, V, dtype=dtype, rng=1)), np.random.default_rng(2)
    return model, Batch(*rng.integers(0, V, (2, T, N)))


def test_training_and_the_held_out_loss_use_one_thread():
    model, batch = model_and_batch()
    model.forward = recording(model.forward, seen := [])
    Trainer(model, SGD(0.1)).run(lambda rng: [batch], 1, valid=lambda: [batch])
    mean_loss(model, [batch])
    assert seen == [(1, 1)] * 3
    with blas_threads(2):  # too little work for two
        mean_loss(model, [batch])
    assert seen[3:] == [(1, 1)]


def test_workers_have_one_thread_each_and_blas_has_them_where_sequences_are_few(monkeypatch):
    monkeypatch.setattr(threads, "WORTH", 0)
    monkeypatch.setattr(threads, "WORTH_A_STEP", 0)
    model, batch = model_and_batch()
    model.forward = recording(model.forward, seen := [])
    few = Batch(batch.x[:, :1], batch.targets[:, :1])
    Trainer(model, SGD(0.1), workers=2).run(lambda rng: [batch, few], 1, valid=lambda: [batch, few])
    assert seen == [(1, 1), (1, 1), (2, 1)] * 2


def test_training_that_is_interrupted_restores_the_threads():
    def interrupt(batch):
        raise KeyboardInterrupt

    model, batch = model_and_batch()
    with pytest.raises(KeyboardInterrupt):
        Trainer(model, SGD(0.1)).run(lambda rng: [batch], 1, on_batch=interrupt)
    assert counts() == (BEFORE, BEFORE)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_weights_are_the_same_to_the_bit_on_any_number_of_cores(dtype):
    weights = []
    for n in (1, 2, 3):
        model, batch = model_and_batch(dtype)
        with pools_of(n):
            Trainer(model, SGD(0.1)).run(lambda rng, batch=batch: [batch], 3)
        weights.append(model.params.flat)
    assert all(np.array_equal(weights[0], other) for other in weights[1:])


@pytest.mark.torture
@pytest.mark.parametrize("workers", [1, 2])
def test_gradients_of_one_model_are_the_same_to_the_bit_in_any_number_of_python_threads(
    workers, rounds, tell, monkeypatch
):
    monkeypatch.setattr(threads, "WORTH", 0)
    monkeypatch.setattr(threads, "WORTH_A_STEP", 0)
    model, batch = model_and_batch()

    def gradients():
        loss, _ = loss_and_gradients(model, batch, grads := model.params.zeros_like(), workers=workers)
        return loss, grads.flat.tobytes()

    def passes():  # of another program, with threads of its own choice
        logits, _, cache = model.forward(batch.x)
        model.backward(softmax_cross_entropy(logits, batch.targets)[1], cache)

    expected, n = gradients(), rounds(4, 60)
    for _ in range(n):
        with ThreadPoolExecutor(6) as pool:
            found = [pool.submit(gradients) if i % 3 else pool.submit(passes) for i in range(6)]
            assert [one.result() for i, one in enumerate(found) if i % 3] == [expected] * 4
    tell(f"{4 * n} gradients of one model in 4 Python threads at once, {workers} workers: the same bits")


def test_generation_of_many_uses_one_thread():
    model, _ = model_and_batch()
    model.forward = recording(model.forward, seen := [])
    generate(model, np.zeros((1, 5), int), Sampler(0), 4)
    assert seen == [(1, 1)] * 4


def test_a_stream_gives_the_threads_back_with_every_id():
    pooled = Sequential(LSTM(5, 8, rng=0), GlobalMaxPool1D(), Dense(8, 5, rng=1))
    pooled.forward = recording(pooled.forward, seen := [])
    ids = stream(pooled, np.array([1]), Sampler(0), window=4)
    assert [counts() for _ in islice(ids, 3)] == [(BEFORE, BEFORE)] * 3
    assert seen == [(1, 1)] * 3


@pytest.mark.slow
@pytest.mark.parametrize(("H", "inside"), [(8, (BEFORE, BEFORE)), (256, (1, 1))])
def test_a_stream_of_a_wide_model_takes_its_steps_in_one_thread(H, inside):
    seen, stepper = [], Stepper(Sequential(LSTM(5, H, rng=0), Dense(H, 5, rng=1)))
    advance = stepper.advance
    stepper.advance = lambda token: seen.append(counts()) or advance(token)
    next(stream(stepper, np.array([1, 2]), Sampler(0)))
    assert seen == [inside] * 2
    assert counts() == (BEFORE, BEFORE)


def fresh(code):
    """What a new Python process prints when it runs `code`."""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[1])
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


SHOW = """
from threading import Thread
from numpyrnn.threads import _is_scipys, blas_threads
from threadpoolctl import threadpool_info, threadpool_limits
with blas_threads(): pass
import scipy.linalg
def show(): print(*(p['num_threads'] for p in threadpool_info() if _is_scipys(p['filepath'])))
def show_in_limits():
    with threadpool_limits(3): show()
"""  # nothing where SciPy has no pool of its own


def test_a_pool_that_is_loaded_later_is_seen():
    code = "\nwith threadpool_limits(3):\n    with blas_threads(): show()\n    show()"
    assert fresh(SHOW + code) in (["1", "3"], [])


def test_other_python_threads_may_still_set_limits_afterwards():
    assert fresh(SHOW + "thread = Thread(target=show_in_limits); thread.start(); thread.join()") in (["3"], [])


def test_threadpoolctl_is_imported_when_it_is_needed():
    modules = "import numpyrnn, numpyrnn.train, numpyrnn.sampling, sys; print('threadpoolctl' in sys.modules)"
    assert fresh(modules) == ["False"]


# A limit that does not hold


class Pool:
    """A library whose number of threads cannot be changed."""

    filepath = "/lib/libstubborn.so"
    user_api = "blas"

    def get_num_threads(self):
        return 4

    def set_num_threads(self, n):
        pass


def test_a_limit_that_could_not_be_set_is_said_once_in_one_line(monkeypatch):
    monkeypatch.setattr(threads, "_pools", lambda with_scipy: [(Pool(), float("inf"))])
    monkeypatch.setattr(threads, "_unlimited", set())
    with pytest.warns(RuntimeWarning, match=r"libstubborn.so could not be set to 1 threads, it keeps 4") as warned:
        assert [blas_threads()(chosen)() for _ in range(3)] == [1, 1, 1]
    assert len(warned) == 1
    assert "\n" not in str(warned[0].message)


def test_a_warning_that_is_an_error_leaves_nothing_behind(monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(threads, "_pools", lambda with_scipy: [(Pool(), float("inf"))])
        patched.setattr(threads, "_unlimited", set())
        with pytest.raises(RuntimeWarning), blas_threads(2):
            pytest.fail("got inside")
    assert (threads._limits, threads._before) == ([], {})
    assert chosen() == 1


def test_limits_hold_from_any_python_thread_whoever_was_first():
    with ThreadPoolExecutor(1) as first, ThreadPoolExecutor(1) as second, threadpool_limits(BEFORE, user_api="blas"):
        for other in (first, second):
            assert other.submit(blas_threads(2)(counts)).result() == (2, 1)
            assert other.submit(counts).result() == (BEFORE, BEFORE)


# The number chosen, and tasks in threads


def test_the_number_chosen_is_that_around_the_call_else_the_environments_else_one(monkeypatch):
    assert chosen() == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    assert chosen() == 5
    with blas_threads(7):  # more than the pools have
        assert chosen() == 7
        with blas_threads(2), blas_threads():
            assert chosen() == 2
        assert chosen() == 7
    assert chosen() == 5


def test_an_error_in_one_task_is_passed_on_when_all_have_ended():
    ended = []

    def slow():
        time.sleep(0.05)
        ended.append(True)

    for tasks in ([lambda: 1 / 0, slow, slow], [slow, lambda: 1 / 0, slow]):
        ended.clear()
        with pytest.raises(ZeroDivisionError):
            run_all(tasks)
        assert ended == [True, True]


def test_tasks_give_their_results_in_order_each_from_a_thread_of_its_own():
    together = threading.Barrier(3)
    names = run_all([lambda i=i: (i, together.wait(600) >= 0, threading.get_ident()) for i in range(3)])
    assert [(i, met) for i, met, _ in names] == [(0, True), (1, True), (2, True)]
    assert names[0][2] == threading.get_ident()
    assert len({ident for _, _, ident in names}) == 3
    assert run_all([lambda: 1]) == [1]


def test_tasks_know_the_settings_around_them():
    with np.errstate(divide="ignore"), blas_threads(2):
        assert run_all([chosen, chosen, lambda: float(np.ones(1)[0] / np.zeros(1)[0])]) == [2, 2, np.inf]


FORKED = """
import os
import numpy as np
from numpyrnn.threads import blas_threads, run_all
def work():
    with blas_threads(2):
        return run_all([lambda: np.ones(9) @ np.ones(9)] * 2)
work()
child = os.fork()
if child == 0:
    work()
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_has_threads_of_its_own():
    subprocess.run([sys.executable, "-c", FORKED], check=True, timeout=600, cwd=Path(__file__).parents[1])
