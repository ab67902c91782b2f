"""Measure how the cost grows: the time of a training step with T, N, H and layers, and the memory of a pass with T.

    python benchmarks/growth.py [--quick]

A step is the forward pass, softmax cross-entropy and the backward pass of LSTM layers and a dense layer, in float32 on
one thread. It is compared with a floor: only the matrix products that it needs, one `matmul` each. A step can be faster
than its floor, because it multiplies by blocks of the weights, laid out by `numpyrnn/products.py`. The script writes
growth.json, growth-time.png and growth-memory.png beside this file. It takes a minute, or 15 seconds with --quick.
"""

import argparse
import json
import platform
import subprocess
import sys
import tracemalloc
from functools import partial
from pathlib import Path
from timeit import timeit

import numpy as np
from arena import environment
from by_floor import products
from works import Work, cell

from numpyrnn import GRU, LSTM, RNN, Dense, Sequential
from numpyrnn.batches import Batch
from numpyrnn.files import atomic_write
from numpyrnn.threads import loss_and_gradients

HERE = Path(__file__).parent
BASE = {"T": 64, "N": 32, "H": 128, "layers": 1}
AXES = {"T": "steps T", "N": "sequences N", "H": "inputs and hidden units H", "layers": "layers"}
V = 32
LONG_ENOUGH = 0.05  # seconds of a contender's turn
STATED = {
    LSTM: (11, 2),
    GRU: (9, 2),
    RNN: (2, 1),
}  # peak memory per step according to the docstrings: multiples of N H and of N D numbers
PIECE = 32  # steps of truncated backpropagation


def sizes(quick):
    """The sizes that are measured, all powers of two, by axis."""
    exponents = {"T": (3, 10), "N": (0, 9), "H": (4, 10), "layers": (0, 3)}
    if quick:
        exponents = {"T": (4, 8), "N": (0, 7), "H": (4, 8), "layers": (0, 2)}
    return {axis: [2**k for k in range(low, high + 1)] for axis, (low, high) in exponents.items()}


# time


def our_step(T, N, H, layers):
    rng = np.random.default_rng(0)
    model = Sequential(*(LSTM(H, H, rng=i) for i in range(layers)), Dense(H, V, rng=layers))
    batch = Batch(rng.standard_normal((T, N, H), np.float32), rng.integers(V, size=(T, N)))
    return partial(loss_and_gradients, model, batch, model.params.zeros_like())


def floor(T, N, H, layers):
    rng = np.random.default_rng(0)
    x, dh = rng.standard_normal((2, T, N, H), np.float32)
    lstm_layers = products(Work([cell(rng, H, H, np.float32)], ((x, dh, None),), rounds=layers))
    dlogits, W = (rng.standard_normal(shape, np.float32) for shape in ((T * N, V), (H, V)))
    rows, WT = x.reshape(T * N, H), np.ascontiguousarray(W.T)
    dx, logits, dW = np.zeros_like(rows), np.zeros_like(dlogits), np.zeros_like(W)

    def step():
        lstm_layers()
        np.matmul(rows, W, out=logits)
        np.matmul(rows.T, dlogits, out=dW)
        np.matmul(dlogits, WT, out=dx)

    return step


def seconds_of(size, turns):
    """Seconds of a step and of its floor, which take turns. The shortest turn counts, as it was disturbed least."""
    calls = {"step": our_step(**size), "floor": floor(**size)}
    numbers = {name: 1 + int(LONG_ENOUGH / min(timeit(call, number=1) for _ in "ab")) for name, call in calls.items()}
    seconds = {name: [] for name in calls}
    for _ in range(turns):
        for name, call in calls.items():
            seconds[name].append(timeit(call, number=numbers[name]) / numbers[name])
    return {name: min(times) for name, times in seconds.items()}


def times(quick):
    """A list of sizes with their seconds for each axis."""
    found = {}
    for axis, values in sizes(quick).items():
        found[axis] = []
        for value in values:
            found[axis].append({axis: value, **seconds_of(BASE | {axis: value}, 3 if quick else 7)})
            print(axis, found[axis][-1], file=sys.stderr, flush=True)
    return found


# memory


def peak(layer, x, dy, piece):
    """The peak memory, in bytes, of forward and backward passes over pieces of x; the state is carried over."""
    grads, state = layer.params.zeros_like(), None

    def step(x, dy):
        _, state_after, cache = layer.forward(x, state)
        layer.backward(dy, cache, grads=grads)
        return state_after

    tracemalloc.start()
    for start in range(0, len(x), piece):
        state = step(x[start : start + piece], dy[start : start + piece])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def memory(quick):
    """Peaks for each layer and T: of the whole sequence at once, of pieces, and as stated in the layer's docstring."""
    N, H, found = BASE["N"], BASE["H"], {}
    for kind, (in_H, in_D) in STATED.items():
        layer = kind(H, H, rng=0)
        found[kind.__name__] = []
        for T in [2**k for k in range(4, 9 if quick else 12)]:
            x, dy = np.random.default_rng(0).standard_normal((2, T, N, H), np.float32)
            row = {"T": T, "whole": peak(layer, x, dy, T), "pieces": peak(layer, x, dy, PIECE)}
            found[kind.__name__].append(row | {"stated": (in_H + in_D) * T * N * H * 4})
    return found


# pictures


def of_base(*names):
    return ", ".join(f"{BASE[name]} layer" if name == "layers" else f"{name} {BASE[name]}" for name in names)


def plain_ticks(axes):
    """Put ticks at 1, 2, 5, 10, 20, ... on the y axis, and a grid."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(which="major", alpha=0.3)


def draw_times(found, file):
    from matplotlib.figure import Figure

    figure = Figure((10, 7.5), layout="constrained")
    figure.suptitle("A training step of an LSTM, float32, one thread")
    for axes, (axis, rows) in zip(figure.subplots(2, 2).flat, found.items(), strict=True):
        x = [row[axis] for row in rows]
        axes.loglog(x, [row["step"] * 1e3 for row in rows], "o-", color="tab:blue", label="numpyrnn")
        label = "floor: its matrix products alone"
        axes.loglog(x, [row["floor"] * 1e3 for row in rows], "s--", color="0.5", label=label)
        axes.set_xscale("log", base=2)
        axes.set_xticks(x, list(map(str, x)))
        axes.set(xlabel=AXES[axis], ylabel="ms a step", title=of_base(*(name for name in BASE if name != axis)))
        plain_ticks(axes)
        axes.legend(loc="upper left")
    figure.savefig(file, dpi=120, format="png")


def draw_memory(found, file):
    from matplotlib.figure import Figure

    figure = Figure((8, 6), layout="constrained")
    axes = figure.subplots()
    for (kind, rows), color in zip(found.items(), ("tab:blue", "tab:orange", "tab:green"), strict=True):
        T = [row["T"] for row in rows]
        whole, pieces, stated = ([row[name] / 2**20 for row in rows] for name in ("whole", "pieces", "stated"))
        axes.loglog(T, whole, "o", color=color, label=f"{kind}, the whole sequence at once")
        axes.loglog(T, stated, "-", color=color, label=f"{kind}, as its docstring says")
        axes.loglog(T, pieces, "s--", color=color, markerfacecolor="none", label=f"{kind}, in pieces of {PIECE} steps")
    axes.set_xscale("log", base=2)
    axes.set_xticks(T, list(map(str, T)))
    title = f"Memory of a forward and backward pass, float32, {of_base('N', 'H')}, H inputs"
    axes.set(xlabel="steps T", ylabel="MiB at the peak, besides x and dy", title=title)
    plain_ticks(axes)
    axes.legend(loc="upper left")
    figure.savefig(file, dpi=120, format="png")


def measure(quick):
    about = {"machine": platform.machine(), "python": platform.python_version(), "numpy": np.__version__}
    return {**about, "quick": quick, "base": BASE, "V": V, "times": times(quick), "memory": memory(quick)}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="smaller sizes, fewer turns")
    arguments.add_argument("--measure", action="store_true", help=argparse.SUPPRESS)  # used for the measuring process
    options = arguments.parse_args()
    if options.measure:
        print(json.dumps(measure(options.quick)))
        return
    command = [sys.executable, __file__, "--measure", *(["--quick"] if options.quick else [])]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment(1, {}))
    found = json.loads(done.stdout)
    with atomic_write(HERE / "growth.json") as file:
        file.write((json.dumps(found) + "\n").encode())
    for name, draw in {"times": draw_times, "memory": draw_memory}.items():
        with atomic_write(HERE / f"growth-{name.removesuffix('s')}.png") as file:
            draw(found[name], file)


if __name__ == "__main__":
    main()
