"""The network of the programs: embedded tokens, recurrent layers with dropout, and a dense layer to the logits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.random import Generator

from numpyrnn import LSTM, Dense, Dropout, Embedding, Sequential


def recurrent_network(
    size: int,
    settings: Any,
    rng: Generator,
    *,
    cell: Any = LSTM,
    dropouts: Sequence[Dropout] = (),
    scale: float = 1.0,
    between: float | None = None,
    shared: str | None = None,
    head: Sequence[Any] = (),
    **of_cell: Any,
) -> Sequential:
    """A network from ids to the logits of the next id, float32.

    Parameters
    ----------
    size : int, V: how many different tokens there are
    settings : has `embedding` (0: one-hot rows), `hidden`, `layers`, `dropout` and `weight_dropout`
    rng : numpy Generator, draws the initial weights
    cell : recurrent layer class, default LSTM
    dropouts : layers behind the embedding
    scale : float, default 1, multiplies the initial embedding
    between : float, optional, dropout between recurrent layers; default: as after the last one
    shared : "time" or None (default), whether one dropout mask serves all steps
    head : layers before the dense one
    **of_cell : more arguments of the recurrent layers

    Returns
    -------
    Sequential
    """
    layers: list[Any] = []
    width = size
    if settings.embedding:
        layers = [Embedding(size, settings.embedding, rng=rng), *dropouts]
        layers[0].params["W"] *= scale
        width = settings.embedding
    for i in range(settings.layers):
        last = i == settings.layers - 1
        rate = settings.dropout if last or between is None else between
        layers.append(cell(width, settings.hidden, rng=rng, weight_dropout=settings.weight_dropout, **of_cell))
        layers.append(Dropout(rate, shared=shared))
        width = settings.hidden
    return Sequential(*layers, *head, Dense(width, size, rng=rng))
