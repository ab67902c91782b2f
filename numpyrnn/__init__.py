"""Recurrent networks in NumPy, with hand-written forward and backward passes.

In the order of the data's way: `vocab` and `batches` make arrays of ids; `layers`, `recurrent`, `convolution` and
`pooling` hold parameters and check arguments, `sequential` makes models of them; `kernels` do the work, whole
sequences forward and back, with the products of `products` (`backend` may take the compiled `kernels_fast` instead),
shared out among the threads of `threads`; `losses`, `optim` and `train` learn; `sampling` writes; `checkpoint` keeps;
`gradcheck` proves. `course` has the textbook functions, one equation a line.

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

import numpy as np

from .checks import NumpyrnnError
from .convolution import CausalConv1D, GatedBlock, GatedStack
from .layers import Dense, Dropout, Embedding, ReLU
from .pooling import GlobalMaxPool1D, LastStep, MaxPool1D
from .recurrent import GRU, LSTM, RNN
from .sequential import Sequential

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "CausalConv1D",
    "Dense",
    "Dropout",
    "Embedding",
    "GatedBlock",
    "GatedStack",
    "GlobalMaxPool1D",
    "LastStep",
    "MaxPool1D",
    "NumpyrnnError",
    "ReLU",
    "Sequential",
]
__version__ = "0.1.0"

# The largest block that glibc learns from: once it was given back, blocks up to its size stay with the process. Else
# every pass returns its arrays to the system and fetches them again, page by page, and takes up to 1.8 times as long.
np.empty(2**25 - 2**16, np.uint8)
