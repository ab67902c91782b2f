"""The training of a network on pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Self

from numpy.random import Generator

from numpyrnn.batches import Batch
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.optim import Adam
from numpyrnn.sampling import Sampler
from numpyrnn.vocab import Vocabulary
from workbench.terminal import counted
from workbench.training import Training

from .batches import accuracy
from .corpus import Piece, split_by_piece
from .evaluation import best_ngrams
from .model import KIND, Material, Settings, build, material_of
from .play import compose

SHOWN = 10  # sampled tokens, shown during training


class PianoTraining(Training):
    """Training of a network on pieces.

    Parameters
    ----------
    material : Material
    """

    program, per, uses = KIND, "token", (f"{KIND} play", f"{KIND} evaluate")

    def __init__(self, material: Material):
        self.material, settings = material, material.settings
        model, adam = build(settings, len(material.vocabulary)), Adam(settings.learning_rate, beta2=settings.beta2)
        super().__init__(settings, material.vocabulary, model, adam, patience=settings.patience)
        self.title = f"{settings.model} on {counted(len(material.training), 'piece')}"
        self.items = material.items

    @classmethod
    def of_pieces(cls, pieces: Sequence[Piece], settings: Settings) -> Self:
        """Set up a training on pieces, and hold out some of them or of their windows."""
        parts = split_by_piece(pieces, settings.seed) if settings.split == "piece" else (pieces, [])
        return cls(Material(*parts, settings))

    @classmethod
    def of(cls, checkpoint: Checkpoint, *given: Any) -> Self:
        """A new training with the pieces and settings of a model file."""
        return cls(material_of(checkpoint))

    def data(self) -> dict[str, Any]:
        """The pieces with all their tokens."""
        training, held_out = self.material.training, self.material.held_out
        tokens = Vocabulary(token for piece in training + held_out for token in piece.tokens)

        def listed(pieces: Sequence[Piece]) -> list[dict[str, Any]]:
            return [{"name": piece.name, "ids": tokens.encode(piece.tokens).tolist()} for piece in pieces]

        return {"tokens": tokens.tokens, "training": listed(training), "held_out": listed(held_out)}

    def batches(self) -> Callable[[Generator], Iterable[Batch]]:
        """A function from a random generator to the batches of one epoch."""
        return self.material.batches

    def held_out_batches(self) -> Iterable[Batch]:
        """The held-out windows or pieces."""
        return self.material.held_out_batches()

    def describe(self) -> str:
        """The data and the network, in one line, and a second one if the split leaks."""
        return self.material.describe(f"; {self.settings.model}, {self.model.params.flat.size:,} parameters")

    def sample(self, checkpoint: Checkpoint, seed: int) -> str:
        """Ten tokens."""
        return " ".join(compose(checkpoint, SHOWN, Sampler(seed)))

    def ngrams(self) -> dict[str, float]:
        """The held-out losses of the best n-grams, nats a token."""
        return {f"{name}, order {ngram.order}": loss for name, ngram, (loss, _) in best_ngrams(self.material)}

    def accuracy(self) -> float:
        """The accuracy on the held-out part, with the best weights so far."""
        return accuracy(self.checkpoint(resumable=False).model, self.held_out_batches())

    def verdict(self, ngrams: dict[str, float], status: int = 0) -> str:
        """The best held-out loss and accuracy, why training ended, and the best n-grams, if `ngrams` has any."""
        reached = f"{self.trainer.best_loss:.3f} nats a token, accuracy {self.accuracy():.1%}"
        lines = [f"Held-out loss {reached}, {self.ending(status)}."]
        for name, ngram, (loss, right) in best_ngrams(self.material) if ngrams else []:
            lines.append(f"{name}, best order {ngram.order}: {loss:.3f}, {right:.1%}.")
        return "\n".join(lines)
