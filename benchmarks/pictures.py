"""Draw the README's five pictures from the shipped models, into docs/pictures/.

    python benchmarks/pictures.py

The lead sheet needs the extra `score`. The curve is that of a training of `dinos`, which takes half a minute.
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from jazz.playing.performance import improvise
from music.engraving import svg
from numpyrnn import GRU, LSTM, RNN, Embedding, Sequential
from numpyrnn.files import write_together
from numpyrnn.inspect import gates, gradient_norms
from numpyrnn.plots import plot_gates, plot_gradient_norms
from workbench.files import load_model
from workbench.inside import png

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
NAME = "\ntyrannosaurus\n"  # a line end begins and ends each name
STEPS, V, H = 100, 27, 128


def draw_gates():
    """The gates of the shipped network while it reads a name."""
    checkpoint = load_model(None, "dinos")
    ids = checkpoint.vocabulary.encode(NAME)
    return png(plot_gates(gates(checkpoint, ids), NAME, "Gates and states while an LSTM reads a name"))


def draw_gradients():
    """What is left of a gradient after 100 steps of untrained networks."""
    ids = np.random.default_rng(0).integers(0, V, STEPS)
    norms = {}
    for cell in (RNN, LSTM, GRU):
        model = Sequential(Embedding(V, 16, rng=0), cell(16, H, rng=0))
        (norms[cell.__name__],) = gradient_norms(model, ids)
    return png(plot_gradient_norms(norms, f"What is left of a gradient, untrained, {H} units"))


def draw_loss():
    """The curves of a training on the shipped names."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "dinos", "train", "--seed", "0", "--out", f"{folder}/dinos.npz"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return (Path(folder) / "dinos.png").read_bytes()


def main():
    solo = improvise(seed=1)
    pictures = {
        "roll.png": solo.png(),
        "leadsheet.svg": svg(solo.musicxml()),
        "gates.png": draw_gates(),
        "gradients.png": draw_gradients(),
        "loss.png": draw_loss(),
    }
    FOLDER.mkdir(exist_ok=True)
    write_together({FOLDER / name: content for name, content in pictures.items()})
    for name, content in pictures.items():
        print(f"{FOLDER.name}/{name}: {len(content) / 1000:,.0f} kB")


if __name__ == "__main__":
    main()
