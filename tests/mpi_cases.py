"""A script for `mpiexec`: trains small models on all ranks together, and compares with a training of one process."""

import os
import signal
import sys

import numpy as np

from numpyrnn import GRU, LSTM, RNN, SGD, Adam, Dense, Dropout, Embedding, LastStep, Sequential, Trainer
from numpyrnn.batches import Batch, padded, streams, windows
from numpyrnn.ranks import world

V, H, F64 = 7, 6, np.float64
RNG = np.random.default_rng(0)
NAMES = [RNG.integers(0, V, RNG.integers(2, 12)) for _ in range(37)]
TEXT = RNG.integers(0, V, 1001)
SOFT = [RNG.dirichlet(np.ones(V), len(name) - 1) for name in NAMES]


def say(words):
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def network(cell, *top):
    """A model with every kind of dropout."""
    first = Embedding(V, H, F64, rng=0), Dropout(0.2, shared="features")
    second = cell(H, H, F64, rng=1, weight_dropout=0.3), Dropout(0.3, shared="time"), GRU(H, H, F64, rng=2)
    return Sequential(*first, *second, Dropout(0.4), *top, Dense(H, V, F64, rng=3))


def masked(batches):
    """Batches in which few targets count, none of them in some sequences."""
    for batch in batches:
        mask = np.zeros(np.shape(batch.targets), bool)
        mask[0, ::3] = True
        yield Batch(batch.x, batch.targets, batch.lengths, mask)


def of_names(size, names=NAMES, soft=None):
    return lambda rng: padded(names, size, rng, soft)


CASES = {
    "RNN, padded, batches of 10": (RNN, of_names(10), {}),
    "LSTM, padded, batches of 7": (LSTM, of_names(7), {"clip_norm": 0.5}),
    "GRU, padded, batches of 3, which leave a rank without work": (GRU, of_names(3), {}),
    "LSTM, one sequence": (LSTM, of_names(1), {}),
    "GRU, soft targets": (GRU, of_names(8, soft=SOFT), {"average": 0.9}),
    "RNN, masked": (RNN, lambda rng: masked(padded(NAMES, 9, rng)), {}),
    "LSTM, streams with a carried state": (LSTM, lambda rng: streams(TEXT, 10, 9), {"carry": True}),
    "GRU, 2 streams": (GRU, lambda rng: streams(TEXT, 2, 50), {"carry": True}),
    "LSTM, windows": (LSTM, lambda rng: windows(TEXT, 12, 7, 30, rng, last_only=True), {}),
}


def trainer_of(name, **options):
    cell, batches, settings = CASES[name]
    model = network(cell, *[LastStep()] * ("windows" in name))
    return Trainer(model, Adam(0.01), rng=5, **settings, **options), batches


def same():
    """100 steps or more of each case, alone and together."""
    for name, (_, batches, _) in CASES.items():
        epochs = -(-100 // len(list(batches(np.random.default_rng(0)))))
        valid = None if "windows" in name else lambda of=batches: of(np.random.default_rng(1))
        histories = []
        for workers in (1, None):
            trainer, _ = trainer_of(name, workers=workers)
            histories.append(trainer.run(batches, epochs, valid))
            weights = trainer.model.params.flat
        alone, together = ([[r["loss"], r["valid_loss"] or 0] for r in history] for history in histories)
        assert trainer.ranks.size == int(sys.argv[2])
        assert trainer.step >= 100
        np.testing.assert_allclose(together, alone, rtol=1e-10)
        everyone = trainer.ranks.comm.allgather(weights.tobytes())
        assert set(everyone) == {everyone[0]}
        if trainer.rank == 0:
            error = np.abs(np.divide(together, np.maximum(alone, 1e-300)) - 1)[np.array(alone) > 0].max()
            say(f"{name}: {trainer.step} steps, largest relative difference {error:.1e}")


def stopped():
    """A training that a callback of rank 0 stops goes on as if it had not been stopped, also alone."""
    for name in ("LSTM, streams with a carried state", "GRU, 2 streams", "RNN, padded, batches of 10"):
        whole, batches = trainer_of(name)
        whole.run(batches, 3)
        trainer, _ = trainer_of(name)

        def on_batch(batch, trainer=trainer):
            if trainer.step == 7:
                trainer.keep()
            if trainer.step == 9:
                os.kill(os.getpid(), signal.SIGTERM)

        try:
            trainer.run(batches, 3, on_batch=on_batch)
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError("nothing was interrupted")
        assert trainer.step == (7 if trainer.place else 8)
        state = trainer.kept
        for workers in (1, None):
            other, _ = trainer_of(name, workers=workers)
            other.restore(state)
            other.run(batches, 3)
            np.testing.assert_allclose(
                [r["loss"] for r in other.history], [r["loss"] for r in whole.history], rtol=1e-10
            )
        if trainer.rank == 0:
            say(f"{name}: goes on after step {trainer.step}")


def fault(kind):
    """What goes wrong on rank 2 ends the run on all ranks."""
    rank = world("mpi").rank
    names, options, odd = NAMES, {}, rank == 2
    if kind == "data" and odd:
        names = [*NAMES[:-1], NAMES[0]]
    if kind == "fewer" and odd:
        names = NAMES[:5]
    if kind == "weights":
        options = {"rng": 1} if odd else {"rng": 0}
    trainer = Trainer(network(LSTM), SGD(0.1), **options)

    def batches(rng):
        for i, batch in enumerate(padded(names, 5, rng)):
            if kind == "bad" and odd and i == 3:
                raise ValueError("the disk is on fire")
            x = np.where(batch.x >= 0, V, 0) if kind == "ids" and odd and i == 2 else batch.x
            yield Batch(x, batch.targets, batch.lengths)

    def on_epoch(record):
        say(f"epoch {record['epoch']}")
        if kind == "callback":
            raise OSError("the disk is full")

    if kind == "early" and odd:
        raise RuntimeError("before the training")
    trainer.run(batches, 3, on_epoch=on_epoch)


{"same": same, "stopped": stopped}.get(sys.argv[1], lambda: fault(sys.argv[1]))()
