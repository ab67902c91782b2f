"""Training of a soloist: held-out tunes, batches, and what is shown during training."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import chain
from typing import Any, Self

import numpy as np
from numpy.random import Generator

from numpyrnn import NumpyrnnError
from numpyrnn.batches import Batch, crops, padded
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import Array
from numpyrnn.sampling import Sampler
from numpyrnn.train import mean_loss
from numpyrnn.vocab import Vocabulary
from workbench.grow import gentle, mixed
from workbench.ngram import KneserNey, best_ngram
from workbench.terminal import counted
from workbench.training import Training

from .changes import form
from .grammar import name_of
from .model import KIND, OPTIMISERS, EncodedTune, Parts, Settings, build, tunes_of, values_of
from .soloist import Soloist
from .tokens import is_of_value, stream
from .tunes import Bar, Tune

HELD_OUT, VALIDATION, LEAST_TUNES = 0.2, 0.1, 10  # shares of the tunes; with fewer tunes than ten, none validate
DROPOUTS, OF_DROPOUT = ("dropout", "input_dropout", "weight_dropout"), 0.5  # the share kept if it starts from a model
LONGEST_PIECE, HELD_OUT_BATCH = 500, 32  # values of a held-out tune that are read at once, and pieces in a batch


def split_tunes(
    tunes: Sequence[Tune], seed: int, share: float = HELD_OUT, by_group: bool = False
) -> tuple[list[Tune], list[Tune]]:
    """Hold out whole tunes, or the last bars of a single tune.

    Parameters
    ----------
    tunes : list of Tune
    seed : int
    share : float, default 0.2, share of the tunes or bars that is held out
    by_group : bool, default False
        Hold out whole groups of tunes: groups are taken at random until they have this share of the tunes.

    Returns
    -------
    training, held_out : lists of Tune

    Raises
    ------
    NumpyrnnError
        if a single tune has fewer than two bars, or all tunes are one group that must stay together
    """
    if len(tunes) == 1:
        tune = tunes[0]
        n = len(tune.bars) - max(1, round(len(tune.bars) * share))
        if n < 1:
            raise NumpyrnnError(f"{tune.name} must have two bars or more to learn from, it has {len(tune.bars)}")
        return [replace(tune, bars=tune.bars[:n])], [replace(tune, bars=tune.bars[n:], name=f"{tune.name}, the end")]
    groups = [tune.group if by_group and tune.group else i for i, tune in enumerate(tunes)]
    names, wanted = list(dict.fromkeys(groups)), max(1, round(len(tunes) * share))
    if len(names) < 2:
        raise NumpyrnnError(f"there must be two tunes or more to hold one out, all {len(tunes)} are versions of one")
    held_out = set[int]()
    for number in np.random.default_rng(seed).permutation(len(names)):
        if len(held_out) < wanted:
            held_out.update(i for i, group in enumerate(groups) if group == names[number])
    return [t for i, t in enumerate(tunes) if i not in held_out], [t for i, t in enumerate(tunes) if i in held_out]


def three_parts(tunes: Sequence[Tune], seed: int, by_group: bool = False) -> Parts[Tune]:
    """Split tunes into a part to learn from, one that decides when training ends, and one to measure at the end.

    Parameters
    ----------
    tunes : list of Tune
    seed : int
    by_group : bool, default False, whether tunes of a group stay together

    Returns
    -------
    Parts; a fifth of the tunes is held out, a tenth is for validation, but none of fewer than ten tunes

    Raises
    ------
    NumpyrnnError
        see `split_tunes`
    """
    rest, held_out = split_tunes(tunes, seed, HELD_OUT, by_group)
    if len(tunes) < LEAST_TUNES or (by_group and len({tune.group for tune in rest}) < 2):
        return Parts(rest, [], held_out)
    training, validation = split_tunes(rest, seed, VALIDATION / (1 - HELD_OUT), by_group)
    return Parts(training, validation, held_out)


def masked(batches: Iterable[Batch], counted: Array) -> Iterator[Batch]:
    """Mask batches so that the loss counts only some of the target tokens.

    Parameters
    ----------
    batches : iterable of Batch with lengths
    counted : (V,) boolean, which target tokens count

    Yields
    ------
    Batch with lengths and mask
    """
    for batch in batches:
        yield replace(batch, mask=counted[batch.targets] & batch.counts)


class JazzTraining(Training):
    """Training of a soloist on tunes.

    Parameters
    ----------
    parts : Parts of lists of EncodedTune; without a part for validation, the held-out tunes decide when training ends
    settings : Settings
    vocabulary : Vocabulary, of the tunes' tokens

    Attributes
    ----------
    predicted : (V,) boolean, which tokens belong to values; the loss counts only these as targets
    """

    program, per, uses = KIND, "value", (f"{KIND} improvise", f"{KIND} evaluate")

    def __init__(self, parts: Parts[EncodedTune], settings: Settings, vocabulary: Vocabulary):
        self.parts, self.training, self.held_out = parts, parts.training, parts.held_out
        self.predicted = np.array([is_of_value(token) for token in vocabulary.tokens])
        optimizer = OPTIMISERS[settings.optimiser](settings.learning_rate, decay=settings.decay)
        super().__init__(settings, vocabulary, build(settings, vocabulary), optimizer, patience=settings.patience)
        self.places = settings.parts
        self.items = sum(len(tune.ids) // (settings.width * settings.step) + 1 for tune in self.training)
        self.network = f"{settings.layers} x LSTM({settings.hidden})"
        self.title = f"{self.network} on {counted(len(self.training), 'tune')}"

    @classmethod
    def of_tunes(
        cls, tunes: Sequence[Tune], settings: Settings, by_group: bool = False, start: Checkpoint | None = None
    ) -> Self:
        """Set up a training on tunes, and hold some of them out; see `three_parts`.

        If it starts from the weights of the model `start`, the tunes that this model learned are learned too, and the
        dropout rates are half of those of `settings`.

        Raises
        ------
        NumpyrnnError
            if the training or the held-out part has no tune of two values or more
        """
        parts = three_parts(tunes, settings.seed, by_group)
        streams = [[stream(tune, settings.context, settings.form) for tune in part] for part in parts]
        known = start.vocabulary.tokens if start else []
        tokens = (token for part in streams for values in part for value in values for token in value)
        vocabulary = Vocabulary(chain(known, tokens))
        encoded = Parts(
            *(
                [encode_tune(tune, values, vocabulary) for tune, values in zip(*both, strict=True) if len(values) > 1]
                for both in zip(parts, streams, strict=True)
            )
        )
        if not encoded.training or not encoded.held_out:
            counts = [sum(map(len, streams[i])) for i in (0, 2)]
            raise NumpyrnnError(f"training and held-out part must have two values or more, got {counts}")
        if start is None:
            return cls(encoded, settings, vocabulary)
        ids, own = np.array([vocabulary.ids[token] for token in known]), len(encoded.training)
        encoded.training.extend(replace(tune, ids=ids[tune.ids].tolist()) for tune in chain(*tunes_of(start)[:2]))
        dropout = {name: getattr(settings, name) * OF_DROPOUT for name in DROPOUTS}
        return cls(encoded, gentle(settings, settings.seed, own, **dropout), vocabulary).grown(start)

    @classmethod
    def of(cls, checkpoint: Checkpoint, *given: Any) -> Self:
        """A new training with the tunes and settings of a model file."""
        return cls(tunes_of(checkpoint), Settings.of(checkpoint), checkpoint.vocabulary)

    def kind_of(self, token: str) -> str:
        """What begins a token: "interval ", "chord: " and so on."""
        return token[: token.index(" ") + 1]

    def data(self) -> dict[str, Any]:
        """The tunes."""
        return {name: [asdict(tune) for tune in part] for name, part in self.parts._asdict().items()}

    def batches(self) -> Callable[[Generator], Iterable[Batch]]:
        """A function from a random generator to the batches of one epoch."""
        tunes, s = [np.array(tune.ids) for tune in self.training], self.settings

        def of_epoch(rng: Generator) -> Iterator[Batch]:
            chosen = mixed(list(map(len, tunes)), [i < s.own for i in range(len(tunes))], rng)
            read = crops([tunes[i] for i in chosen], s.width, rng, s.step)
            return masked(padded(read, s.batch_size, rng), self.predicted)

        return of_epoch

    def held_out_batches(self) -> Iterable[Batch]:
        """The held-out tunes, as batches of tunes of similar length; long ones are cut, which bounds the memory."""
        return self._batches_of(self.held_out)

    def validation_batches(self) -> Iterable[Batch]:
        """The tunes for validation, or else the held-out ones."""
        return self._batches_of(self.parts.validation or self.held_out)

    def _batches_of(self, tunes: Sequence[EncodedTune]) -> Iterable[Batch]:
        span = LONGEST_PIECE * self.settings.step
        pieces = [tune.ids[i : i + span + 1] for tune in tunes for i in range(0, len(tune.ids) - 1, span)]
        arrays = [np.array(piece) for piece in sorted(pieces, key=len, reverse=True)]
        return masked(padded(arrays, HELD_OUT_BATCH), self.predicted)

    def held_out_loss(self) -> float:
        """The loss of the best weights on the held-out tunes, nats a value."""
        return self.places * mean_loss(self.checkpoint(resumable=False).model, self.held_out_batches())

    def describe(self) -> str:
        """The data and the network, in one line."""
        learned, chosen, unseen = (f"{sum(sum(tune.bars) for tune in part):,}" for part in self.parts)
        data = f"{learned} values of {counted(len(self.training), 'tune')} to learn, "
        if self.parts.validation:
            data += f"{chosen} of {len(self.parts.validation)} for validation, "
        data += f"{unseen} of {len(self.held_out)} held out"
        size = f"{self.network}, {self.model.params.flat.size:,} parameters"
        return f"{data}, {len(self.vocabulary)} tokens; {size}."

    def sample(self, checkpoint: Checkpoint, seed: int) -> str:
        """The first two bars of a line over a II-V-I."""
        line = Soloist(checkpoint, Sampler(seed)).play(form("ii-v-i"))
        return " ".join(read_out(bar) for bar in line.tune().bars[:2])

    def ngrams(self) -> dict[str, float]:
        """The held-out loss of the best Kneser-Ney n-gram, nats a value."""
        _, ngram, loss = ngram_on_values(self.checkpoint(resumable=False))
        return {f"Kneser-Ney, order {ngram.order}": loss}

    def verdict(self, ngrams: dict[str, float], status: int = 0) -> str:
        """The best loss, why training ended, and whether the n-gram is better."""
        words = super().verdict(ngrams, status)
        if ngrams and self.held_out_loss() > min(ngrams.values()):
            n = sum(sum(tune.bars) for tune in self.training)
            words += f"\nThe n-gram is better: {n:,} values are too little music for this network."
        return words


def encode_tune(tune: Tune, values: Sequence[Sequence[str]], vocabulary: Vocabulary) -> EncodedTune:
    """Encode a tune, given the tokens of each of its values."""
    ids = vocabulary.encode(chain.from_iterable(values)).tolist()
    return EncodedTune(tune.name, tune.group, ids, [len(bar.melody) for bar in tune.bars])


def ngram_on_values(checkpoint: Checkpoint) -> tuple[Vocabulary, KneserNey, float]:
    """The best Kneser-Ney n-gram on the values of a model's tunes.

    Returns
    -------
    vocabulary : Vocabulary, of all values
    ngram : KneserNey, fitted on the training tunes
    loss : float, nats a value on the held-out tunes
    """
    parts = [[values_of(checkpoint, tune) for tune in part] for part in tunes_of(checkpoint)]
    vocabulary = Vocabulary(value for part in parts for values in part for value in values)
    training, _, held_out = ([vocabulary.encode(values) for values in part] for part in parts)
    return vocabulary, *best_ngram(training, held_out, len(vocabulary), range(1, 8))


def read_out(bar: Bar) -> str:
    """The notes of a bar by name, with a dot for a rest."""
    names = (name_of(e.pitches[0]).replace("-", "b") if e.pitches else "." for e in bar.melody)
    return f"| {' '.join(names)}"
