"""Compare the name generator, trained on a file with several seeds, with the best n-gram on the same split.

    python benchmarks/quality.py data/dinos.txt --seeds 3 4 5

The losses are compared name by name; the standard error is that of the paired differences.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from dinos.evaluation import common_ending, describe
from dinos.model import NameTraining, Settings, sample_names
from dinos.names import encode, read_names, split_names
from numpyrnn.batches import padded
from numpyrnn.losses import softmax_cross_entropy
from workbench.ngram import best_ngram

EPOCHS, SAMPLES = 60, 10_000


def nats_by_name(model, sequences):
    """The summed loss of each sequence, in nats."""
    losses = []
    for sequence in sequences:
        (batch,) = padded([sequence], 1)
        logits, _, _ = model.forward(batch.x, cache=False)
        losses.append(softmax_cross_entropy(logits, batch.targets, reduction="sum")[0])
    return np.array(losses)


def measure(names, seed, settings):
    """Train on one split, print its row of the table, and return the figures."""
    training, held_out = split_names(names, seed)
    start = time.perf_counter()
    run = NameTraining(training, held_out, Settings(seed=seed, **settings))
    history = run.run(EPOCHS)
    seconds = time.perf_counter() - start
    vocabulary = run.vocabulary
    learned, unseen = ([ids[1:].tolist() for ids in encode(part, vocabulary)] for part in (training, held_out))
    ngram, ngram_loss = best_ngram(learned, unseen, len(vocabulary))
    lengths = np.array([len(ids) for ids in unseen])
    network = nats_by_name(run.model, encode(held_out, vocabulary))
    off = network - np.array([-ngram.log_probabilities(ids).sum() for ids in unseen])
    difference = off.sum() / lengths.sum()
    error = np.std(off - difference * lengths, ddof=1) * np.sqrt(len(off)) / lengths.sum()
    sample = sample_names(run.checkpoint(resumable=False), SAMPLES, seed)
    ending = common_ending(training)
    found, data = describe(sample, training, held_out, ending), describe(training, [], [], ending)
    figures = [network.sum() / lengths.sum(), ngram_loss, difference, error, found.in_training]
    figures += [found.ending - data.ending, found.length - data.length, seconds, len(history)]
    row = f"| {seed} | {figures[0]:.3f} | {ngram_loss:.3f} (order {ngram.order}) | {difference:+.3f} +- {error:.3f} "
    row += f"| {found.in_training:.2%} | {figures[5]:+.1%} | {figures[6]:+.2f} "
    print(f"{row}| {seconds:.0f} s, {len(history)} epochs |")
    return figures


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("file", type=Path, help="a text file with one name a line")
    arguments.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default 0 1 2")
    arguments.add_argument("--set", nargs="*", default=[], metavar="NAME=NUMBER", help="settings of the training")
    options = arguments.parse_args()
    names = read_names(options.file)
    settings = {name: type(getattr(Settings, name))(value) for name, value in (s.split("=") for s in options.set)}
    print(f"{options.file}: {len(names):,} different names, a tenth held out; nats a character, including ends.\n")
    print("| seed | network | best Kneser-Ney | difference | copies | ending | length | training |")
    print("|---|---|---|---|---|---|---|---|")
    mean = np.mean([measure(names, seed, settings) for seed in options.seeds], axis=0)
    row = f"| mean | {mean[0]:.3f} | {mean[1]:.3f} | {mean[2]:+.3f} | {mean[4]:.2%} | {mean[5]:+.1%} "
    print(f"{row}| {mean[6]:+.2f} | {mean[7]:.0f} s |")


if __name__ == "__main__":
    main()
