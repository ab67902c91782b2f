"""The network of the programs: embedded tokens, recurrent layers with dropout, and a dense layer to the logits."""

from __future__ import annotations

from typing import Any

from numpyrnn import LSTM, Dense, Dropout, Embedding, Sequential
from numpyrnn.checks import as_rng


def recurrent_network(
    size: int,
    settings: Any,
    *,
    cell: Any = LSTM,
    dropouts: Any = (),
    scale: float = 1.0,
    head: Any = (),
    **of_cell: Any,
) -> Sequential:
    """A network from ids to the logits of the next id, float32.

    Parameters
    ----------
    size : int, V, the number of different tokens
    settings : has `seed`, `embedding` (0: one-hot rows), `hidden`, `layers`, `dropout` and `weight_dropout`
        It may have `between_dropout`, the dropout between recurrent layers (default: as after the last one), and
        `shared`, "time" for one dropout mask for all steps (default: None).
    cell : recurrent layer class, default LSTM
    dropouts : layers after the embedding
    scale : float, default 1, multiplies the initial embedding
    head : layers before the dense one
    **of_cell : more arguments of the recurrent layers

    Returns
    -------
    Sequential
    """
    layers, width, rng = list[Any](), size, as_rng(settings.seed)
    if settings.embedding:
        layers = [Embedding(size, settings.embedding, rng=rng), *dropouts]
        layers[0].params["W"] *= scale
        width = settings.embedding
    for rate in [getattr(settings, "between_dropout", settings.dropout)] * (settings.layers - 1) + [settings.dropout]:
        layers.append(cell(width, settings.hidden, rng=rng, weight_dropout=settings.weight_dropout, **of_cell))
        layers.append(Dropout(rate, shared=getattr(settings, "shared", None)))
        width = settings.hidden
    return Sequential(*layers, *head, Dense(width, size, rng=rng))
