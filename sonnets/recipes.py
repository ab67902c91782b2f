"""The settings of the network and its training, and two recipes with values for them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from numpyrnn.train import SCHEDULES
from workbench.settings import HIGHEST, above, one_of, share, within
from workbench.settings import Settings as TrainingSettings


@dataclass(frozen=True)
class Settings(TrainingSettings):
    """How the network is built and trained. The defaults were chosen by measurement on some of the training sonnets.

    Attributes
    ----------
    hidden, layers, embedding : int, units of a layer, number of layers, size of the embedding (0: one-hot rows)
    hard_sigmoid : bool, whether the gates use the hard sigmoid
    input_dropout, between_dropout, dropout : float, rates before, between and after the recurrent layers
    shared : "time" or None; "time" uses one dropout mask for all steps of a batch (Gal and Ghahramani 2016)
    weight_dropout : float, rate for the recurrent weights (Merity et al. 2018)
    teacher : float, weight of an n-gram's distribution in the targets (Hinton et al. 2015)
    teacher_order : int, order of that n-gram, which is fitted on the rest of the training text
    learning_rate, beta2 : float, for Adam
    schedule : "cosine" or "constant", course of the learning rate
    batch_size : int, streams or windows side by side
    steps : int, length of a window, or of a batch of streams, for backpropagation through time
    stride : int, distance between the starts of windows; 0 for streams, with a loss at every step, instead of windows
    clip_norm : float or None, largest norm of the gradients
    average : float, decay of the averaged weights
    epochs : int
    seed : int, for weights, order and dropout
    own : int, how many characters of the training text, the first ones, are not the text of the model that training
        started from; or 0

    Raises
    ------
    NumpyrnnError
        if a setting has the wrong type, or is unknown or out of range
    """

    hidden: int = within(384, 1, 4096)
    layers: int = within(1, 1, 8)
    embedding: int = within(64, 0, 4096)
    hard_sigmoid: bool = False
    input_dropout: float = within(0.0, 0, 1)
    between_dropout: float = within(0.4, 0, 1)
    dropout: float = within(0.4, 0, 1)
    shared: str | None = one_of("time", ["time", "features"])
    weight_dropout: float = within(0.4, 0, 1)
    teacher: float = within(0.3, 0, 1)
    teacher_order: int = within(5, 1, 20)
    learning_rate: float = above(0.008, 0)
    beta2: float = share(0.99)
    schedule: str = one_of("cosine", SCHEDULES)
    batch_size: int = within(16, 1, 4096)
    steps: int = within(50, 1, 4096)
    stride: int = within(0, 0, 4096)
    clip_norm: float | None = above(1.0, 0)
    average: float = share(0.0)
    epochs: int = within(36, 1, HIGHEST)
    seed: int = within(0, 0, (1 << 63) - 1)
    own: int = within(0, 0)


# "streams" follows char-rnn (Karpathy 2015); "course" has the deep-learning course's network, windows and optimiser.
_PLAIN = Settings(shared=None, weight_dropout=0.0, teacher=0.0, schedule="constant", clip_norm=None)
_NETWORK = replace(_PLAIN, hidden=128, layers=2, embedding=0, hard_sigmoid=True, between_dropout=0.5, dropout=0.5)
_COURSE = replace(_NETWORK, learning_rate=0.001, beta2=0.999, batch_size=128, steps=40, stride=3, epochs=20)
RECIPES = {"streams": Settings(), "course": _COURSE}
