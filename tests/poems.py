"""A fifth program, written with the workbench alone: poems divided by blank lines, learned by two layers of GRU."""

from __future__ import annotations

import re
from dataclasses import dataclass

import click
import numpy as np

from numpyrnn import GRU, Dropout, NumpyrnnError
from numpyrnn.batches import padded
from numpyrnn.optim import Adam
from numpyrnn.sampling import Sampler, generate
from numpyrnn.train import mean_loss
from numpyrnn.vocab import Vocabulary
from workbench.copies import Copies
from workbench.files import load_model, read_text
from workbench.networks import recurrent_network
from workbench.ngram import best_ngram
from workbench.options import data_options, model_option, seed_option, temperature_option
from workbench.run import training_options
from workbench.settings import Settings
from workbench.tables import loss_table
from workbench.training import Training

KIND, END = "poems", "\0"  # END begins and ends every poem


@dataclass(frozen=True)
class PoemSettings(Settings):
    """How the network is built and trained."""

    hidden: int = 64
    layers: int = 2
    embedding: int = 32
    dropout: float = 0.3
    weight_dropout: float = 0.2
    learning_rate: float = 0.005
    batch_size: int = 16
    clip_norm: float = 1.0
    average: float = 0.98
    epochs: int = 40
    seed: int = 0


class PoemTraining(Training):
    """Training on poems, the last of which are held out."""

    program, unit = KIND, "poem"

    def __init__(self, poems, settings):
        self.poems, self.n = poems, max(1, len(poems) * 9 // 10)
        vocabulary = Vocabulary({END, *"".join(poems)})
        self.ids = [vocabulary.encode(END + poem + END) for poem in poems]
        model = recurrent_network(len(vocabulary), settings, cell=GRU, dropouts=[Dropout(settings.dropout)])
        super().__init__(settings, vocabulary, model, Adam(settings.learning_rate), patience=10)
        self.items, self.title = self.n, f"2 x GRU on {self.n} poems"

    @classmethod
    def of(cls, checkpoint, *given):
        return cls(checkpoint.config["poems"], PoemSettings.of(checkpoint))

    def data(self):
        return {"poems": self.poems}

    def batches(self):
        return lambda rng: padded(self.ids[: self.n], self.settings.batch_size, rng)

    def held_out_batches(self):
        return padded(self.ids[self.n :], 64)

    def describe(self):
        return (
            f"{self.n} poems to learn, {len(self.poems) - self.n} held out; {self.model.params.flat.size:,} parameters."
        )

    def sample(self, checkpoint, seed):
        return write(checkpoint, seed, longest=60).replace("\n", " / ")

    def ngrams(self):
        parts = [ids[1:] for ids in self.ids]
        ngram, loss = best_ngram(parts[: self.n], parts[self.n :], len(self.vocabulary), range(2, 7))
        return {f"Kneser-Ney, order {ngram.order}": loss}


def read_poems(path):
    """The poems of a text file; blank lines divide them."""
    poems = [poem.strip() for poem in re.split(r"\n\s*\n", read_text(path)) if poem.strip()]
    if len(poems) < 2:
        raise NumpyrnnError(f"{path} must hold two poems or more, divided by blank lines; it holds {len(poems)}")
    return poems


def write(checkpoint, seed=None, temperature=1.0, longest=1000):
    """A new poem."""
    ends = checkpoint.vocabulary.encode(END)
    sampler = Sampler(np.random.default_rng(seed), temperature)
    (ids,) = generate(checkpoint.model, ends[:, None], sampler, longest, int(ends[0]))
    return "".join(checkpoint.vocabulary.decode(ids)).rstrip(END)


@click.group()
def app():
    """Write poems."""


@app.command()
@data_options
@training_options("poems.npz")
def train(run, data):
    """Learn the poems of FILE."""
    if checkpoint := run.resumed(KIND):
        run.learn(PoemTraining.resume(checkpoint))
    if data is None:
        raise click.UsageError("FILE is missing")
    run.learn(PoemTraining(read_poems(data), PoemSettings(seed=run.seed or 0)))


@app.command()
@model_option("poet")
@seed_option
@temperature_option
def sample(model, seed, temperature):
    """Write a poem."""
    click.echo(write(load_model(model, KIND), seed, temperature))


@app.command()
@model_option("poet")
@seed_option
def evaluate(model, seed):
    """Held-out loss beside an n-gram's, and the longest run that a new poem copies."""
    checkpoint = load_model(model, KIND)
    training = PoemTraining.of(checkpoint)
    losses = {"network": mean_loss(checkpoint.model, training.held_out_batches()), **training.ngrams()}
    poem = write(checkpoint, seed or 0)
    found = Copies(training.poems[: training.n]).longest(poem)
    click.echo(loss_table(losses, "character"))
    click.echo(f"Longest run copied: {poem[found.start :][: found.length]!r}.")
