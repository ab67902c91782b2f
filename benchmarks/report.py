"""From `results.json` to `RESULTS.md`, and to the README's table of speed between its two marks.

`python benchmarks/report.py` writes both; with --check it writes nothing, and fails where the README differs.
"""

import argparse
import json
from pathlib import Path
from statistics import geometric_mean, median

from works import SHAPES

HERE = Path(__file__).parent
RESULTS, PAGE, README = HERE / "results.json", HERE / "RESULTS.md", HERE.parent / "README.md"
MARKS = "<!-- speed -->", "<!-- /speed -->"
PLAIN, FAST, TORCH = "numpyrnn", "numpyrnn fast", "PyTorch"
BARE, IMPORT, FAST_IMPORT = "python -c pass", "import numpyrnn", "NUMPYRNN_BACKEND=fast: import numpyrnn"
FIRST_NAME, TORCH_NAME = "dinos sample -n 1", "a PyTorch script that does the same"

WORDS = {
    "W1": ("the dinosaur course run: RNN 50, V 27, one name a step, SGD, float64", "step"),
    "W2 float32": ("the jazz run: LSTM 64, 90 values, N 60, T 30, Adam, float32", "step"),
    "W2 float64": ("the jazz run in float64", "step"),
    "W3": ("the sonnets: 2 x LSTM 128, V 38, N 128, T 40, Adam, float32", "step"),
    "W5 names, one at a time": ("generation: names by an RNN 50, one at a time", "character"),
    "W5 names, 10,000 at once": ("generation: 10,000 names at once", "character"),
    "W5 values, greedy": ("generation: 50 of 90 values by an LSTM 64, greedy", "value"),
    "W5 values, sampled": ("generation: 50 of 90 values by an LSTM 64, sampled", "value"),
    "W5 sonnet, greedy": ("generation: 400 of 38 characters by 2 x LSTM 128, greedy", "character"),
    "W5 sonnet, sampled": ("generation: 400 of 38 characters by 2 x LSTM 128, sampled", "character"),
    "W7": ("padded batches: names of 3 to 23 letters, N 64, LSTM 128, V 27, Adam, float32", "step"),
}

INTRO = """# Speed and memory beside named peers

From one run of `make bench` (`benchmarks/bench.py`), written by `benchmarks/report.py`; the raw numbers are in
`results.json`. Every contender is a process of its own, held to as many cores as it has threads. All start from the
same weights, see the same data and show that their losses agree (float32: the first to 1e-5, all to 1e-3; float64: to
1e-8; greedy generation: the same ids). They take turns, A B C, B C A, C A B ..., after one turn to warm up. A ratio is
formed within a turn; what is given is the median, and in brackets the range. Ratios are speeds: 2 is twice as fast as
PyTorch.
"""

NOTES = """
- PyTorch runs eager, as its users write it, from its modules, and of two such ways the quicker one: fused Adam, and
  `LSTMCell` to generate, which takes a third of the time of `nn.LSTM` a step. In W7 it packs its sequences. "tuned" is
  what costs somebody an evening: to generate, products by hand with rows of a table in place of one-hot input, and
  noise with argmax in place of `torch.multinomial`; in W7 no packing, but the padding computed and the loss masked.
- JAX compiles whole steps, and all of a generation. Keras runs on JAX; it is in W2 and W3 only, for the rest would be
  a program around Keras.
- thinc is left out: its own LSTM (9.1.1) does not give the gradient of its loss (the parameters' gradients are off by
  more than their size from central differences), so that it cannot do the same work; its other LSTM is PyTorch's.
- Adam's epsilon is 1e-15 everywhere: libraries add it at different places.
- With two threads ours train with `workers=2`: where that is worth it, each thread takes half of the sequences through
  the whole model, with one BLAS thread; generation takes one thread. W4 with N of 32 or more is divided likewise, each
  half an array of its own, as within such a step; fewer sequences leave the products to BLAS's two threads. Before
  each run of two threads that takes less than half a second stands one that does not count, for all contenders.
- Who is first rotates from turn to turn; who comes after whom does not. Where a pass takes hundreds of megabytes that
  the system has to fetch (W4 with H N T above some four millions), who comes after the floor, which keeps its arrays,
  may wait longer.
- "floor" is the time of the products alone that no LSTM layer can do without, by NumPy, into arrays made before.
- W4: x and h have the same size; the gradients are those of x and of all weights. The time of forward is that within
  forward and backward. Where a turn takes over a second, the first one counts too.
- Memory is the peak of a worker's resident set (`ru_maxrss`), interpreter, libraries and data included.
"""


def digits(x):
    """Two or three digits that matter."""
    return f"{x:,.{0 if x >= 100 else 1 if x >= 10 else 2}f}"


def duration(seconds):
    unit, name = next(pair for pair in ((1, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")) if seconds >= pair[0])
    return f"{digits(seconds / unit)} {name}"


def spread(values):
    """The median, and the range where there is one."""
    text = digits(median(values))
    return f"{text} ({digits(min(values))} to {digits(max(values))})" if len(values) > 1 else text


def megabytes(its_turns):
    return f"{its_turns['peak_rss'] / 1e6:.0f} MB" if its_turns.get("peak_rss") else ""


def table(*rows):
    """Markdown; the first row is the head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]) + "\n"


# ------------------------------------------------------------------------------------------------------- what is told


class Measured:
    """The results of one number of threads; what is asked for and not there is an empty list."""

    def __init__(self, results, threads):
        self.works, self.starts = results["works"].get(str(threads), {}), results.get("starts", {})

    def times(self, work, contender, part="seconds"):
        """Seconds a unit, turn by turn."""
        its_turns = self.works.get(work, {}).get(contender, {})
        return [seconds / units for seconds, units in zip(its_turns.get(part, []), its_turns.get("units", []))]

    def speed(self, work, ours, part="seconds", peer=TORCH):
        """Relative to the peer's, turn by turn."""
        return [theirs / mine for theirs, mine in zip(self.times(work, peer, part), self.times(work, ours, part))]

    def mean_speed(self, ours, part="seconds", peer=TORCH, least_N=1, least_H=1):
        """The geometric mean over the shapes of W4 of the medians."""
        shapes = [name for name, (H, N, _) in SHAPES.items() if least_N <= N and least_H <= H]
        medians = [median(turns) for name in shapes if (turns := self.speed(name, ours, part, peer))]
        return [geometric_mean(medians)] if medians else []

    def memory(self, work, ours):
        """Relative to PyTorch's."""
        peaks = [self.works.get(work, {}).get(contender, {}).get("peak_rss") for contender in (ours, TORCH)]
        return [peaks[0] / peaks[1]] if all(peaks) else []

    def start(self, name):
        """Seconds that a process takes more than one that does nothing, turn by turn."""
        return [seconds - bare for seconds, bare in zip(self.starts.get(name, []), self.starts.get(BARE, []))]

    def import_time(self, ours):
        """Relative to PyTorch's, turn by turn."""
        own = self.start(IMPORT if ours == PLAIN else FAST_IMPORT)
        return [mine / theirs for mine, theirs in zip(own, self.start("import torch"))]


def at_work(work):
    return lambda measured, ours: measured.speed(work, ours)


def at_layers(**which):
    return lambda measured, ours: measured.mean_speed(ours, **which)


TARGETS = (  # words, at one thread, at two, how it is measured; where `most`, less is better
    ("W1", 17, 17, at_work("W1")),
    ("W2 float32", 1.15, 1.0, at_work("W2 float32")),
    ("W2 float64", 1.5, 1.4, at_work("W2 float64")),
    ("W3", 1.1, 1.0, at_work("W3")),
    ("W3 with two workers (each thread takes half of the sequences)", None, 1.2, at_work("W3")),
    ("W4 forward + backward, all shapes", 0.85, 0.85, at_layers()),
    ("W4 forward + backward, N >= 64", 1.0, 1.0, at_layers(least_N=64)),
    ("W4 share of the floor, N >= 64 and H >= 128", 0.85, 0.8, at_layers(peer="floor", least_N=64, least_H=128)),
    ("W5 one name", 12, 12, at_work("W5 names, one at a time")),
    ("W5 10,000 names", 3.5, 4, at_work("W5 names, 10,000 at once")),
    ("W5 LSTM values, greedy", 7, 7, at_work("W5 values, greedy")),
    ("W5 LSTM values, sampled", 7, 7, at_work("W5 values, sampled")),
    ("W6 import time, at most", 0.1, None, Measured.import_time),
    ("W6 memory of W2, at most", 0.25, None, lambda measured, ours: measured.memory("W2 float32", ours)),
    ("W6 memory of W3, at most", 0.4, None, lambda measured, ours: measured.memory("W3", ours)),
    ("W7", 1.5, 1.2, at_work("W7")),
)


def verdict(target, values, at_most):
    if not values:
        return "not measured", ""
    good = median(values) <= target if at_most else median(values) >= target
    return spread(values), "met" if good else "**not met**"


def targets(results):
    rows = [("relative to PyTorch", "threads", "target", PLAIN, "", FAST, "")]
    for words, *goals, measure in TARGETS:
        for threads, goal in enumerate(goals, 1):
            if goal is not None and str(threads) in results["works"]:
                measured, most = Measured(results, threads), words.endswith("at most")
                cells = [cell for ours in (PLAIN, FAST) for cell in verdict(goal, measure(measured, ours), most)]
                rows.append((words, str(threads), str(goal), *cells))
    return "## Targets\n\n" + table(*rows)


# ---------------------------------------------------------------------------------------------------- tables of works


def work_section(results, work):
    words, unit = WORDS[work]
    rows = [("contender", "threads", f"time a {unit}", "x PyTorch", "peak memory")]
    for threads, names in results["works"].items():
        measured = Measured(results, threads)
        for contender, its_turns in names.get(work, {}).items():
            times = duration(median(measured.times(work, contender)))
            ratios = [] if contender == TORCH else measured.speed(work, contender)
            rows.append((contender, threads, times, spread(ratios) if ratios else "", megabytes(its_turns)))
    return f"## {work.split()[0]}: {words}\n\n" + table(*rows) if len(rows) > 1 else ""


def layer_section(results, threads):
    measured, shapes = Measured(results, threads), [name for name in SHAPES if name in results["works"][threads]]
    if not shapes:
        return ""
    present = [ours for ours in (PLAIN, FAST) if ours in results["works"][threads][shapes[0]]]
    head = ["H", "N", "T"]
    for ours in present:
        head += [f"{ours}: both", "forward x PyTorch", "both x PyTorch", "share of the floor"]
    rows = [head]
    for name in shapes:
        row = [str(size) for size in SHAPES[name]]
        for ours in present:
            forward, both = measured.speed(name, ours, "forward"), measured.speed(name, ours)
            floor = measured.speed(name, ours, peer="floor")
            row.append(duration(median(measured.times(name, ours))))
            row += [spread(forward), spread(both), digits(median(floor))] if both and floor else ["", "", ""]
        rows.append(row)
    means = [("geometric means", "forward x PyTorch", "both x PyTorch", "share of the floor")]
    for words, which in (
        ("all shapes", {}),
        ("N >= 64", {"least_N": 64}),
        ("N >= 64 and H >= 128", {"least_N": 64, "least_H": 128}),
    ):
        for ours in present:
            parts = ({"part": "forward"}, {}, {"peer": "floor"})
            values = [measured.mean_speed(ours, **part, **which) for part in parts]
            means.append((f"{ours}, {words}", *(spread(value) if value else "" for value in values)))
    words = f"a dense LSTM layer, float32, {threads} thread{'s'[: threads != '1']}; both: forward and backward"
    return f"## W4: {words}\n\n{table(*means)}\n{table(*rows)}"


def start_section(results):
    if "starts" not in results:
        return ""
    measured, rows = Measured(results, 1), [("process", "time")]
    for name in results["starts"]:
        if name != BARE:
            milliseconds = [seconds * 1e3 for seconds in measured.start(name)]
            rows.append((f"`{name}`" if name != TORCH_NAME else name, f"{spread(milliseconds)} ms"))
    bare = duration(median(results["starts"][BARE]))
    text = f"Whole processes, less the {bare} of `{BARE}`; one thread. Memory is in the tables of W2 and W3.\n\n"
    return f"## W6: start-up\n\n{text}{table(*rows)}"


def machine_section(results):
    rows = [("", ""), *((name, str(value)) for name, value in results["machine"].items())]
    for contender, its_turns in results["works"].get("1", {}).get("W2 float32", {}).items():
        pools = [*its_turns.get("pools", []), its_turns.get("about", "")]
        rows.append((f"pools of threads: {contender}", "; ".join(filter(None, pools))))
    missing = "; ".join(f"{name} ({', '.join(packages)})" for name, packages in results["left out"].items())
    rows += [("left out, not installed", missing or "nothing"), ("took", f"{results['minutes']:.0f} minutes")]
    return "## The machine\n\n" + table(*rows)


def page(results):
    """RESULTS.md."""
    sections = [INTRO, targets(results), machine_section(results)]
    first = [work_section(results, work) for work in WORDS]
    layers = [layer_section(results, threads) for threads in results["works"]]
    sections += [*first[:4], *layers, *first[4:-1], start_section(results), first[-1], "## Notes\n" + NOTES]
    return "\n".join(filter(None, sections))


# ------------------------------------------------------------------------------------------------------- the README's


def readme_table(results):
    one, two = Measured(results, 1), Measured(results, 2)
    has_fast = any(FAST in work for work in results["works"]["1"].values())
    head = ("work", "ours, 1 thread", "x textbook", "x PyTorch, 1 thread", "x PyTorch, 2 threads")
    rows = [(*head, "with `[fast]`: 1, 2 threads") if has_fast else head]
    for work, (words, unit) in WORDS.items():
        cells = [words.removeprefix("generation: "), f"{duration(median(one.times(work, PLAIN)))} a {unit}"]
        lists = (one.speed(work, PLAIN, peer="textbook"), one.speed(work, PLAIN), two.speed(work, PLAIN))
        cells += [spread(values) if values else "" for values in lists]
        rows.append((*cells, ", ".join(digits(median(m.speed(work, FAST))) for m in (one, two))) if has_fast else cells)
    for words, which in (("all", {}), ("N >= 64", {"least_N": 64})):
        cells = [f"a dense LSTM layer, forward and backward, {words} shapes of W4, geometric mean", "", ""]
        cells += [spread(measured.mean_speed(PLAIN, **which)) for measured in (one, two)]
        fast = ", ".join(spread(measured.mean_speed(FAST, **which)) for measured in (one, two)) if has_fast else ""
        rows.append((*cells, fast) if has_fast else cells)
    memory = ", ".join(f"{work} {digits(median(one.memory(work, PLAIN)))}" for work in ("W2 float32", "W3"))
    last = f"Time of `import`, of PyTorch's: {spread(one.import_time(PLAIN))}. Peak memory, of PyTorch's: {memory}.\n"
    machine = results["machine"]
    where = f"{machine['processor']}, {machine['cores']} cores; {machine['versions']}. {machine['date']}.\n"
    return f"{table(*rows)}\n{last}{where}"


def renewed(readme, results):
    """The README with the table between its marks."""
    try:
        before, rest = readme.split(MARKS[0])
        _, after = rest.split(MARKS[1])
    except ValueError:
        raise SystemExit(f"{README.name} must have the marks {' and '.join(MARKS)}, each once") from None
    return f"{before}{MARKS[0]}\n{readme_table(results)}{MARKS[1]}{after}"


def write(results):
    """results.json and RESULTS.md, both or neither."""
    from music.outputs import write_together  # late: what the driver holds would count as its workers' memory

    write_together({RESULTS: (json.dumps(results, indent=1) + "\n").encode(), PAGE: page(results).encode()})


def main():
    from music.outputs import write_together

    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--check", action="store_true", help="write nothing; exit 1 if the README's table is another")
    check = options.parse_args().check
    results, readme = json.loads(RESULTS.read_text()), README.read_text()
    new = renewed(readme, results)
    if not check:
        write_together({PAGE: page(results).encode(), README: new.encode()})
    elif new != readme:
        raise SystemExit("README.md must have the table of speed of results.json, it has another: benchmarks/report.py")


if __name__ == "__main__":
    main()
