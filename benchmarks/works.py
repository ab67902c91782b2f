"""The works (workloads) that are measured, as plain arrays: initial weights, data, and the number of passes over it.

Weights are a list with one dict a layer. A recurrent layer has `Wx` (gates, D, H), `Wh` (gates, H, H) and `b`
(gates, H), with gates in the order i f g o (a tanh RNN has one). The dense layer, if any, comes last and has `W` (H, V)
and `b` (V,). Every contender converts them to its own layout before the clock starts. All arrays are drawn from fixed
seeds, so they are the same in every process.

In a contender's module, `TABLE` maps the beginnings of works' names to functions that prepare a work and return a
function that runs it. The first beginning that fits is used.
"""

from dataclasses import dataclass
from functools import partial
from itertools import product
from math import ceil
from pathlib import Path

import numpy as np

NAMES_FILE = Path(__file__).parents[1] / "data" / "dinos.txt"
SGD_RATE, CLIP = 0.01, 5.0
ADAM_RATE, EPSILON = 0.002, 1e-15  # epsilon is so small that it does not matter where Adam adds it


@dataclass(frozen=True)
class Work:
    """A run goes through the batches `rounds` times, or generates `rounds` times.

    A batch is (inputs (T, N), targets (T, N), lengths (N,) or None). In W1 it is (inputs (T,), targets (T,), None), and
    input -1 stands for a row of zeros. In W4 it is (x (T, N, D), gradient of h (T, N, H), None).
    """

    weights: list
    batches: tuple = ()
    rounds: int = 1
    n: int = 1  # sequences that are generated at once; their first input is id 0
    length: int = 0  # ids of each sequence
    ends: bool = False  # whether id 0 ends a sequence earlier
    greedy: bool = False  # whether the most probable id is taken, not a sample

    @property
    def dtype(self):
        return self.weights[0]["Wx"].dtype

    @property
    def rtol(self):
        """Relative tolerances between contenders, of the first loss and of later ones; for names, of their lengths."""
        return (0.1, 0.1) if self.ends else {"float32": (1e-5, 1e-3), "float64": (1e-8, 1e-8)}[self.dtype.name]

    @property
    def units(self):
        """The number of training steps or generated ids in a run, by which its time is divided.

        If sequences can end early, a contender reports the number instead.
        """
        return self.rounds * (self.n * self.length or len(self.batches))


def cell(rng, D, H, dtype, gates=4):
    """Weights of a recurrent layer, scaled so that states neither vanish nor explode; the forget gate's bias is one."""
    Wx, Wh = (rng.standard_normal((gates, rows, H)) / np.sqrt(rows) for rows in (D, H))
    b = np.zeros((gates, H))
    if gates == 4:
        b[1] = 1
    return {"Wx": Wx.astype(dtype), "Wh": Wh.astype(dtype), "b": b.astype(dtype)}


def dense(rng, H, V, dtype, scale=1.0):
    W = rng.standard_normal((H, V)) * scale / np.sqrt(H)
    return {"W": W.astype(dtype), "b": np.zeros(V, dtype)}


def lstms(rng, V, H, dtype, layers=1, scale=1.0):
    return [*(cell(rng, size, H, dtype) for size in [V, H][:layers]), dense(rng, H, V, dtype, scale)]


def name_ids():
    """The ids of every name of the shipped list, in lower case; 1 to 26 are the letters, 0 is the end of a name."""
    names = NAMES_FILE.read_text().lower().split()
    return [np.array([ord(letter) - ord("a") + 1 for letter in name]) for name in names]


def course():
    """W1: the course's training on dinosaur names, once over the whole list, from its tiny initial weights."""
    draw, (V, H) = np.random.default_rng(1).standard_normal, (27, 50)
    rnn = {"Wx": draw((1, V, H)) * 0.01, "Wh": draw((1, H, H)) * 0.01, "b": np.zeros((1, H))}
    out = {"W": draw((H, V)) * 0.01, "b": np.zeros(V)}
    return Work([rnn, out], tuple((np.append(-1, ids), np.append(ids, 0), None) for ids in name_ids()))


def training(V, H, layers, N, T, steps, dtype):
    """W2 and W3: training steps with Adam on one batch of random ids."""
    rng = np.random.default_rng(2)
    weights, ids = lstms(rng, V, H, dtype, layers), rng.integers(V, size=(T + 1, N))
    return Work(weights, ((ids[:-1].copy(), ids[1:].copy(), None),), rounds=steps)


def layer(H, N, T):
    """W4: one LSTM layer, whose inputs have as many numbers as its state."""
    rng = np.random.default_rng(4)
    x, dh = rng.standard_normal((2, T, N, H), dtype=np.float32)
    guess = T * 3e-5 + 48 * T * N * H * H / 3e11  # seconds forward and backward, for calls and arithmetic
    return Work([cell(rng, H, H, np.float32)], ((x, dh, None),), rounds=ceil(0.04 / guess))


def dinos(n, rounds):
    """W5: names by an RNN that ends them about as often as names of 12 letters end."""
    rng = np.random.default_rng(5)
    rnn, out = cell(rng, 27, 50, np.float32, gates=1), dense(rng, 50, 27, np.float32, scale=0.5)
    out["b"][0] = np.log(26 / 12)
    return Work([rnn, out], rounds=rounds, n=n, length=50, ends=True)


def text(V, H, layers, length, rounds, greedy):
    """W5: ids by one or two LSTM layers; the logits are as large as those of a trained model."""
    return Work(lstms(np.random.default_rng(11), V, H, np.float32, layers, 6.0), (), rounds, 1, length, greedy=greedy)


def padded():
    """W7: batches of whole names in random order, padded to the longest of each batch."""
    rng, N, batches = np.random.default_rng(7), 64, []
    names = name_ids()
    order = rng.permutation(len(names))
    for start in range(0, 12 * N, N):
        group = [names[i] for i in order[start : start + N]]
        lengths = np.array([len(ids) + 1 for ids in group])
        ids = np.zeros((lengths.max() + 1, N), int)
        for n, name in enumerate(group):
            ids[1 : lengths[n], n] = name
        batches.append((ids[:-1].copy(), ids[1:].copy(), lengths))
    return Work(lstms(rng, 27, 128, np.float32), tuple(batches))


WORKS = {
    "W1": course,
    "W2 float32": partial(training, 90, 64, 1, 60, 30, 20, np.float32),
    "W2 float64": partial(training, 90, 64, 1, 60, 30, 20, np.float64),
    "W3": partial(training, 38, 128, 2, 128, 40, 4, np.float32),
    "W5 names, one at a time": partial(dinos, 1, 2000),
    "W5 names, 10,000 at once": partial(dinos, 10_000, 2),
    "W5 values, greedy": partial(text, 90, 64, 1, 50, 300, True),
    "W5 values, sampled": partial(text, 90, 64, 1, 50, 300, False),
    "W5 sonnet, greedy": partial(text, 38, 128, 2, 400, 16, True),
    "W5 sonnet, sampled": partial(text, 38, 128, 2, 400, 16, False),
    "W7": padded,
}
SHAPES = {
    f"W4 H {H} N {N} T {T}": (H, N, T) for H, N, T in product((64, 128, 256, 512, 1024), (1, 16, 64, 256), (32, 128))
}
WORKS |= {name: partial(layer, *shape) for name, shape in SHAPES.items()}
