"""Recurrent networks in NumPy, with hand-written forward and backward passes.

In the order of the data's way: `vocab` and `batches` make arrays of ids; `layer` says what a layer is, `layers`,
`recurrent` and `convolution` have them, and `sequential` makes models of them. A recurrent layer runs a cell of `cells`
over the steps, forward and back, in the loops of `unroll`, with the products of `products`. `fast` has the same cells
compiled. `losses`, `optim` and `train` learn, on the threads of `threads`; `sampling` and `stepper` write; `checkpoint`
keeps; `gradcheck` proves. `course` has the textbook functions, one equation a line.

The textbook's letters and the engine's:

==============================  ==============================================
course (feature-major)          engine (time-major)
==============================  ==============================================
x (n_x, m, T_x)                 x (T, N, D)
a (n_a, m, T_x)                 h (T, N, H)
c (n_a, m, T_x)                 c (T, N, H)
Wax (n_a, n_x), Waa, ba         RNN: Wx (D, H), Wh (H, H), b (H,): transposed
Wya (n_y, n_a), by              Dense: W (H, V), b (V,): transposed
Wf Wi Wc Wo over [a; x]         LSTM: Wx[k] and Wh[k] for k = o, i, f, g
ft, it, cct, ot                 f, i, g, o
da_next                         dh
==============================  ==============================================
"""

from .checkpoint import Checkpoint, load, save
from .checks import NumpyrnnError
from .convolution import CausalConv1D, GatedBlock, GatedStack
from .layers import Dense, Dropout, Embedding, GlobalMaxPool1D, LastStep, MaxPool1D, ReLU
from .optim import SGD, Adam, RMSprop
from .recurrent import GRU, LSTM, RNN
from .sampling import Sampler, generate
from .sequential import Sequential
from .train import Trainer
from .vocab import Vocabulary

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "SGD",
    "Adam",
    "CausalConv1D",
    "Checkpoint",
    "Dense",
    "Dropout",
    "Embedding",
    "GatedBlock",
    "GatedStack",
    "GlobalMaxPool1D",
    "LastStep",
    "MaxPool1D",
    "NumpyrnnError",
    "RMSprop",
    "ReLU",
    "Sampler",
    "Sequential",
    "Trainer",
    "Vocabulary",
    "generate",
    "load",
    "save",
]
__version__ = "0.1.0"
