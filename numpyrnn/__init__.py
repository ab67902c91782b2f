"""Recurrent networks in NumPy, with hand-written forward and backward passes.

The main modules, in the order of the data flow: `vocab` and `batches` make arrays of ids. `layer` defines the interface
of a layer; `layers`, `recurrent` and `convolution` implement it, and `sequential` stacks layers into models. A
recurrent layer runs a cell of `cells` over the steps, with the loops of `unroll` and the matrix products of `products`;
`fast` holds the same cells, compiled. `losses`, `optim` and `train` train a model, with the threads of `threads`.
`sampling` and `stepper` generate sequences, `checkpoint` saves and loads models (in the container of `archive`),
`verify` checks their files, `gradcheck` checks gradients (`cases`: those of functions in a user's file), and `inspect`
looks into a model. `course` holds the textbook functions, one equation per line.

The letters of the textbook functions, and those of the engine:

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

__all__ = ["GRU", "LSTM", "RNN", "CausalConv1D", "Dense", "Dropout", "Embedding", "GatedBlock", "GatedStack"]
__all__ += ["GlobalMaxPool1D", "LastStep", "MaxPool1D", "ReLU", "Sequential"]
__all__ += ["SGD", "Adam", "Checkpoint", "NumpyrnnError", "RMSprop", "Sampler", "Trainer", "Vocabulary"]
__all__ += ["generate", "load", "save"]
__version__ = "0.2.0"
