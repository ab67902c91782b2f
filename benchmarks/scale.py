"""Measure how training scales over MPI ranks and reading over jobs, fit a model of the step time, write docs/scale.md.

Needs numpyrnn[mpi]. Nothing else should run meanwhile; it takes five minutes (`--quick`: half a minute, for a try; it
writes nothing). Ranks beyond the cores of the machine are not timed.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

ROOT = Path(__file__).parents[1]
PAGE, PICTURE = ROOT / "docs" / "scale.md", ROOT / "docs" / "pictures" / "scale.png"
SIZES = [8 << (2 * k) for k in range(12)]  # bytes of an Allreduce
STEPS = {  # layers, H, N, T
    "W3, 2 x LSTM 128": (2, 128, 128, 40),
    "LSTM 512": (1, 512, 64, 50),
    "LSTM 256": (1, 256, 64, 50),
    "LSTM 128, small batch": (1, 128, 16, 30),
    "LSTM 64": (1, 64, 60, 30),
    "LSTM 512, small batch": (1, 512, 8, 20),
}
V = 38


def in_ranks(n, *words):
    """Run this script as n ranks, and return what rank 0 prints."""
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if mpiexec is None:
        sys.exit("mpiexec is missing: pip install 'numpyrnn[mpi]'")
    command = [mpiexec, "-n", str(n), sys.executable, __file__, *map(str, words)]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def time_step(layers, H, N, T, seconds):
    """The seconds of a training step, with its Adam update, of all ranks together."""
    from numpyrnn import LSTM, Adam, Dense, Sequential
    from numpyrnn.batches import Batch
    from numpyrnn.ranks import world
    from numpyrnn.train import Trainer

    ranks = world("mpi")
    model = Sequential(*(LSTM(H if i else V, H, rng=i) for i in range(layers)), Dense(H, V, rng=layers))
    batch, stamps = Batch(*np.random.default_rng(0).integers(0, V, (2, T, N))), []

    def batches(rng):
        while len(stamps) < 4 or ranks.comm.bcast(stamps[-1] - stamps[0] < seconds):
            stamps.append(time.perf_counter())
            yield batch

    Trainer(model, Adam(0.001), clip_norm=1.0, workers="mpi").run(batches, 1)
    return {"seconds": median(np.diff(stamps)[1:]), "parameters": model.params.flat.size, "rank": ranks.rank}


def time_allreduce(seconds):
    """The seconds of an Allreduce, by its bytes."""
    from numpyrnn.ranks import world

    ranks, found = world("mpi"), {}
    for size in SIZES:
        numbers, times = np.ones(size // 4, np.float32), []
        for _ in range(max(5, min(200, int(seconds * 1e9 / size)))):
            numbers[...] = 1
            ranks.comm.Barrier()
            start = time.perf_counter()
            ranks.comm.Allreduce(ranks.in_place, numbers)
            times.append(time.perf_counter() - start)
        found[size] = median(times)
    return {"times": found, "rank": ranks.rank}


def line_of(times):
    """Latency (s) and bandwidth (bytes/s) of the Allreduce times that are fitted best, in relative terms."""
    sizes, seconds = np.array([*map(int, times)], float), np.array([*times.values()])
    terms = np.stack([np.ones_like(sizes), sizes], 1) / seconds[:, None]
    latency, a_byte = np.linalg.lstsq(terms, np.ones_like(seconds), rcond=None)[0]
    return max(latency, 0.0), 1 / max(a_byte, 1e-15)


def terms_of(step, latency, bandwidth):
    """The terms of the model: products, other work of a step, the update, a constant, and the Allreduce."""
    n, P, N, T, H, layers = (step[name] for name in ("ranks", "parameters", "N", "T", "H", "layers"))
    own = -(-N // n)
    reduce = (latency + 4 * P / bandwidth) if n > 1 else 0.0
    return np.array([own * T * P, own * T * H * layers, P, T * layers, reduce])


def fitted(steps, links):
    """Coefficients that are not negative, from relative errors."""
    from scipy.optimize import nnls

    rows = np.array([terms_of(step, *links[step["ranks"]]) / step["seconds"] for step in steps])
    scale = rows.max(axis=0)
    scale[scale == 0] = 1
    return nnls(rows / scale, np.ones(len(steps)))[0] / scale


def predicted(step, coefficients, link):
    return float(terms_of(step, *link) @ coefficients)


def read_rate(jobs, files):
    """MIDI files a second."""
    code = "import sys; from piano.corpus import read_pieces; from workbench.jobs import Jobs\n"
    code += "if __name__ == '__main__': read_pieces([sys.argv[1]], jobs=Jobs(int(sys.argv[2])))"
    with TemporaryDirectory() as folder:
        (Path(folder) / "read.py").write_text(code)
        sources = sorted((ROOT / "data" / "piano").glob("*.mid"))
        music = Path(folder) / "music"
        music.mkdir()
        for i in range(files):  # a chunk that no reader knows makes each file another one
            extra = b"XTRA" + (8).to_bytes(4, "big") + b"%08d" % i
            (music / f"{i}.mid").write_bytes(sources[i % len(sources)].read_bytes() + extra)
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        start = time.perf_counter()
        words = [sys.executable, f"{folder}/read.py", str(music), str(jobs)]
        subprocess.run(words, check=True, env=environment)
        return files / (time.perf_counter() - start)


def measure(quick):
    cores, seconds = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(), 4.0
    counts, names = sorted({1, *(1 << k for k in range(1, 11) if 1 << k <= cores), cores}), list(STEPS)
    if quick:
        seconds, names = 0.3, names[-3:]
    links = {n: line_of(in_ranks(n, "allreduce", seconds / 10)["times"]) if n > 1 else (0.0, 1e15) for n in counts}
    steps = []
    for name in names:
        layers, H, N, T = STEPS[name]
        for n in counts:
            for weak in (False, True)[: 1 + (n > 1)]:
                whole = N * n if weak else N
                found = in_ranks(n, "step", layers, H, whole, T, seconds)
                about = {"name": name, "ranks": n, "weak": weak, "layers": layers, "H": H, "N": whole, "T": T}
                steps.append(about | {"seconds": found["seconds"], "parameters": found["parameters"]})
                say(f"{name}, N {whole}, {n} ranks: {found['seconds'] * 1e3:.2f} ms a step")
    files = 40 if quick else 400
    rates = {n: read_rate(n, files) for n in counts}
    return {"cores": cores, "steps": steps, "links": links, "rates": rates}


def left_out(found):
    """The errors of each step when the model is fitted without it."""
    steps, links = found["steps"], found["links"]
    pairs = [(one, [other for other in steps if other is not one]) for one in steps]
    return [abs(predicted(one, fitted(rest, links), links[one["ranks"]]) / one["seconds"] - 1) for one, rest in pairs]


def report(found):
    """The measured part of the page, in Markdown."""
    steps, links, coefficients = found["steps"], found["links"], fitted(found["steps"], found["links"])
    lines = ["| work | N | ranks | ms a step | times one rank |", "|---|---|---|---|---|"]
    one = {step["name"]: step["seconds"] for step in steps if step["ranks"] == 1}
    for step in steps:
        gain = one[step["name"]] / step["seconds"] * (step["ranks"] if step["weak"] else 1)
        kind = " (weak)" * step["weak"]
        lines.append(
            f"| {step['name']}{kind} | {step['N']} | {step['ranks']} | {step['seconds'] * 1e3:.2f} | {gain:.2f} |"
        )
    lines += ["", "| ranks | latency of an Allreduce | bandwidth |", "|---|---|---|"]
    for n, (latency, bandwidth) in links.items():
        if n > 1:
            lines.append(f"| {n} | {latency * 1e6:.0f} us | {bandwidth / 1e9:.2f} GB/s |")
    errors = left_out(found)
    lines += ["", f"Leave-one-out error of the model over {len(errors)} steps: {np.mean(errors):.0%} on average, "]
    lines[-1] += f"{np.max(errors):.0%} at most."
    lines += ["", "| MIDI files, jobs | files a second | a core |", "|---|---|---|"]
    lines += [f"| {n} | {rate:.0f} | {rate / n:.0f} |" for n, rate in found["rates"].items()]
    lines += ["", predictions(found, coefficients)]
    system = f"{platform.machine()}, {found['cores']} cores, Python {platform.python_version()}, NumPy {np.__version__}"
    lines += ["", "![Strong and weak scaling](pictures/scale.png)"]
    return "\n".join([*lines, "", f"Measured on {system}, {time.strftime('%Y-%m-%d')}."])


def beyond(step, n, coefficients, latency=20e-6, bandwidth=1e9):
    """The predicted seconds of a step on n ranks of a cluster; its Allreduce takes 2 log2(n) messages."""
    link = (2 * np.log2(n) * latency, bandwidth / 2) if n > 1 else (0.0, 1e15)
    return predicted({**step, "ranks": n}, [*coefficients[:-1], 1.0], link)


def predictions(found, coefficients):
    step = next((s for s in found["steps"] if s["name"] == "LSTM 512"), found["steps"][0])
    lines = [
        "Predicted, not measured: an LSTM like the second row, a network of 20 us and 1 GB/s between all ranks.",
        "",
    ]
    lines += ["| ranks | N 4,096 in all: gain | N 64 a rank: efficiency |", "|---|---|---|"]
    for n in (1, 4, 16, 64, 256, 1024, 4096):
        strong, weak = ({**step, "N": N} for N in (4096, 64 * n))
        gain = beyond(strong, 1, coefficients) / beyond(strong, n, coefficients)
        kept = beyond({**step, "N": 64}, 1, coefficients) / beyond(weak, n, coefficients)
        lines.append(f"| {n:,} | {gain:.1f} | {kept:.0%} |")
    return "\n".join(lines)


def draw(found, path):
    """Strong and weak scaling: measured points, and the model's lines beyond them."""
    from matplotlib.figure import Figure

    coefficients, figure = fitted(found["steps"], found["links"]), Figure(figsize=(9, 4), layout="constrained")
    many = 2 ** np.arange(13)
    for axes, weak in zip(figure.subplots(1, 2), (False, True), strict=True):
        for k, name in enumerate(dict.fromkeys(step["name"] for step in found["steps"])):
            of = [s for s in found["steps"] if s["name"] == name and (s["weak"] == weak or s["ranks"] == 1)]
            first, times = of[0], [n if weak else 1 for n in many]
            line = [beyond({**first, "N": first["N"] * t}, n, coefficients) for n, t in zip(many, times, strict=True)]
            axes.plot(many, line[0] / np.array(line) * times, ":", color=f"C{k}")
            gains = [first["seconds"] / s["seconds"] * (s["ranks"] if weak else 1) for s in of]
            axes.plot([s["ranks"] for s in of], gains, "o", color=f"C{k}", label=name)
        axes.set(xscale="log", yscale="log", xlabel="ranks", title="weak scaling" if weak else "strong scaling")
        axes.set_ylabel("times the work of one rank a second")
        axes.grid(alpha=0.3)
    axes.legend(fontsize=8, title="points: measured; dotted: predicted")
    figure.savefig(path, dpi=110)


def say(words):
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    found = measure(quick)
    text = report(found)
    say(text)
    if not quick:
        page = PAGE.read_text("utf-8")
        pattern = r"(?s)<!-- scale -->.*<!-- /scale -->"
        PAGE.write_text(re.sub(pattern, lambda _: f"<!-- scale -->\n{text}\n<!-- /scale -->", page), "utf-8")
        draw(found, PICTURE)


if __name__ == "__main__":
    if sys.argv[1:2] in (["step"], ["allreduce"]):
        given = list(map(float, sys.argv[2:]))
        result = time_allreduce(*given) if sys.argv[1] == "allreduce" else time_step(*map(int, given[:4]), given[4])
        if result["rank"] == 0:
            sys.stdout.write(json.dumps(result))
    else:
        main()
