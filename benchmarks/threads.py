"""Measure what a second worker gains in a training step of LSTM layers and a Dense layer, float32, without the update.

"idle" means that nothing else runs, "busy" that another program keeps one core busy. "same bits" tells whether loss and
gradients equal those of one worker. Times are means, so that steps that had to wait for a core count. Nothing else
should run meanwhile; it takes two minutes.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from contextlib import contextmanager
from functools import partial

import numpy as np
import threadpoolctl
from arena import rotated

from numpyrnn import LSTM, Dense, Sequential
from numpyrnn.batches import Batch
from numpyrnn.threads import blas_threads, loss_and_gradients

WORKS = {  # layers, V, H, N, T
    "jazz": (1, 90, 64, 60, 30),
    "sonnets, the course's": (2, 38, 128, 128, 40),
    "sonnets, ours": (1, 38, 384, 16, 50),
}
SIZES = [(H, N) for H in (64, 256, 1024) for N in (1, 16, 64, 256)]
WORKS |= {f"LSTM {H}, N {N}": (1, 38, H, N, 8) for H, N in SIZES}


def make_step(layers, V, H, N, T):
    """A function that runs a training step with a number of workers and returns the loss and the gradients."""
    stack = [LSTM(H if i else V, H, rng=i) for i in range(layers)]
    model, rng = Sequential(*stack, Dense(H, V, rng=layers)), np.random.default_rng(0)
    batch, grads = Batch(*rng.integers(0, V, (2, T, N))), model.params.zeros_like()

    def step(workers):
        loss, _ = loss_and_gradients(model, batch, grads, workers=workers)
        return np.append(loss, grads.flat)

    return step


def mean_time(step, seconds):
    step()
    start, steps = time.perf_counter(), 0
    while (spent := time.perf_counter() - start) < seconds:
        step()
        steps += 1
    return spent / steps


def in_turns(step, threads, turns, seconds):
    """The mean seconds of a step, by number of workers; the numbers take turns."""
    times = {n: [] for n in threads}
    for turn in range(turns):
        for n in rotated(threads, turn):
            with blas_threads(n):
                times[n].append(mean_time(partial(step, n), seconds))
    return {n: np.mean(times[n]) for n in threads}


def same_bits(step, threads):
    results = []
    for n in threads:
        with blas_threads(n):
            results.append(step(n))
    return all(np.array_equal(result, results[0]) for result in results)


@contextmanager
def busy_core():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as spinning:
        try:
            yield
        finally:
            spinning.kill()


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--threads", type=int, nargs="*", default=[2], help="numbers of workers, default 2")
    arguments.add_argument("--turns", type=int, default=4, help="number of turns, default 4")
    arguments.add_argument("--seconds", type=float, default=0.2, help="length of each turn, default 0.2")
    options = arguments.parse_args()
    kernels = threadpoolctl.threadpool_info()[0].get("architecture", "?")
    print(f"{platform.machine()}, {os.cpu_count()} cores, numpy {np.__version__}, BLAS kernels {kernels}; ", end="")
    print(f"load before: {os.getloadavg()[0]:.1f}\n")
    heads = [f"x 1/{n} {when}" for n in options.threads for when in ("idle", "busy")]
    print("| work | MFLOP, recurrent product | 1 worker, idle | busy | " + " | ".join(heads) + " | same bits |")
    print("|" + "---|" * (5 + len(heads)), flush=True)
    threads = [1, *options.threads]
    for name, sizes in WORKS.items():
        step, (_, _, H, N, _) = make_step(*sizes), sizes
        idle = in_turns(step, threads, options.turns, options.seconds)
        with busy_core():
            busy = in_turns(step, threads, options.turns, options.seconds)
        cells = [f"{8 * N * H * H / 1e6:.2g}", f"{idle[1] * 1e3:.2f} ms", f"{busy[1] * 1e3:.2f} ms"]
        cells += [f"{times[1] / times[n]:.2f}" for n in options.threads for times in (idle, busy)]
        print(f"| {name} | " + " | ".join([*cells, "yes" if same_bits(step, threads) else "no"]) + " |", flush=True)


if __name__ == "__main__":
    main()
