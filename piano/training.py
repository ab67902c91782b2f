"""The training of a network on pieces, and what is said about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any, Self

from numpy.random import Generator

from numpyrnn.batches import Batch
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.optim import Adam
from numpyrnn.sampling import Sampler
from numpyrnn.vocab import Vocabulary
from workbench.ngram import KneserNey
from workbench.training import Training

from .batches import accuracy
from .corpus import Piece
from .evaluation import Figures, best_ngrams
from .model import KIND, Material, Settings, build, material_of
from .play import compose

SHOWN = 10  # tokens at a time while it learns


class PianoTraining(Training):
    """Training of a network on pieces.

    Parameters
    ----------
    material : Material
    """

    program, per = KIND, "token"

    def __init__(self, material: Material):
        self.material, settings = material, material.settings
        model, adam = build(settings, len(material.vocabulary)), Adam(settings.learning_rate, beta2=settings.beta2)
        super().__init__(settings, material.vocabulary, model, adam, patience=settings.patience)
        self.title = f"{settings.model} on {len(material.training)} pieces"
        if not settings.reads_crops:
            self.unit, self.items = "window", len(material.learned.starts)

    @classmethod
    def of_pieces(cls, pieces: Sequence[Piece], settings: Settings) -> Self:
        """A training on pieces, some of them or of their windows held out."""
        return cls(Material.of_pieces(pieces, settings))

    @classmethod
    def of(cls, checkpoint: Checkpoint, *given: Any) -> Self:
        """The training that a model file came from, at its beginning."""
        return cls(material_of(checkpoint))

    def data(self) -> dict[str, Any]:
        """The pieces with all their tokens."""
        parts = {"training": self.material.training, "held_out": self.material.held_out}
        tokens = Vocabulary(token for pieces in parts.values() for piece in pieces for token in piece.tokens)
        return {"tokens": tokens.tokens} | {
            name: [{"name": piece.name, "ids": tokens.encode(piece.tokens).tolist()} for piece in pieces]
            for name, pieces in parts.items()
        }

    def batches(self) -> Callable[[Generator], Iterable[Batch]]:
        """A function of a generator that gives the batches of one epoch."""
        return self.material.batches

    def held_out_batches(self) -> Iterable[Batch]:
        """The held-out windows or pieces."""
        return self.material.held_out_batches()

    def describe(self) -> str:
        """What there is to learn, and the network."""
        network = f"{self.settings.model}, {self.model.params.flat.size:,} parameters"
        return f"{self.material.describe()}; {network}.{self.material.caution}"

    def sample(self, checkpoint: Checkpoint, seed: int) -> str:
        """Ten tokens."""
        return " ".join(compose(checkpoint, SHOWN, Sampler(seed)))

    @cached_property
    def best_ngrams(self) -> list[tuple[str, KneserNey, Figures]]:
        """The best n-grams, see `evaluation.best_ngrams`."""
        return best_ngrams(self.material)

    def ngrams(self) -> dict[str, float]:
        """The held-out losses of the best n-grams, nats a token."""
        return {f"{name}, order {ngram.order}": loss for name, ngram, (loss, _) in self.best_ngrams}

    def accuracy(self) -> float:
        """The accuracy of the best weights so far on the held-out part."""
        return accuracy(self.checkpoint(resumable=False).model, self.held_out_batches())

    def verdict(self, ngrams: dict[str, float], status: int = 0) -> str:
        """What was reached and why it ended, beside the best n-grams."""
        reached = f"{self.trainer.best_loss:.3f} nats a token, accuracy {self.accuracy():.1%}"
        lines = [f"Held-out loss {reached}, {self.ending(status)}."]
        for name, ngram, (loss, right) in self.best_ngrams:
            lines.append(f"{name}, best order {ngram.order}: {loss:.3f}, {right:.1%}.")
        return "\n".join(lines)
