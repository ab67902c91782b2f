"""The progress bar of a training."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def progress(training: Any, epochs: int, **options: Any) -> Iterator[Any]:
    """A progress bar for a training.

    Parameters
    ----------
    training : Training
    epochs : int, in all
    **options : more arguments of `tqdm`

    Yields
    ------
    on_batch, on_epoch : the functions that move it, see `Training.run`
    """
    from tqdm import tqdm

    items, done = training.items, training.items * training.trainer.epoch
    options |= {"unit": training.unit, "unit_scale": items > 1, "file": sys.stderr}
    with tqdm(total=items * epochs, initial=done, **options) as bar:

        def on_batch(batch: Any) -> None:
            bar.update(training.count(batch) if items > 1 else 0)

        def on_epoch(record: Any) -> None:
            (shown,) = training.shown([record])
            losses = f"loss {shown['loss']:.3f}, held out {shown['valid_loss']:.3f}"
            bar.set_postfix_str(f"epoch {record['epoch']}, {losses}")
            bar.update(items == 1)

        yield on_batch, on_epoch
