"""Write `RESULTS.md`, and the table of `docs/speed.md` between its two marks, from `results.json`.

With --check, write nothing, and fail if the table of `docs/speed.md` differs.
"""

import argparse
import json
import re
from pathlib import Path
from statistics import geometric_mean, median

from works import SHAPES

HERE = Path(__file__).parent
RESULTS, PAGE, SPEED = HERE / "results.json", HERE / "RESULTS.md", HERE.parent / "docs" / "speed.md"
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

The results of one run of `make bench` (`benchmarks/bench.py`); `benchmarks/report.py` wrote this page from the raw
numbers in `results.json`. Every contender runs in its own process, on as many cores as it has threads. All contenders
start from the same weights and see the same data, and their losses are checked to agree (float32: the first to 1e-5,
all to 1e-3; float64: to 1e-8; greedy generation: the same ids). After one turn to warm up they take turns: A B C,
B C A, C A B, and so on. Ratios compare speeds within one turn: 2 means twice as fast as PyTorch. The tables give the
median over the turns, with the range in brackets.
"""

NOTES = """
- PyTorch runs eagerly, with its own modules, as its users would write it. Where there is a choice, the faster way is
  taken: fused Adam, and for generation `LSTMCell`, a step of which takes a third of the time of `nn.LSTM`. In W7 it
  packs the sequences. "PyTorch, tuned" is optimised by hand. To generate, it looks up table rows instead of multiplying
  one-hot rows, and takes the argmax of noisy probabilities instead of calling `torch.multinomial`. In W7 it computes
  the padding too and masks the loss, instead of packing.
- JAX compiles each training step, and each generation, as a whole. Keras runs on JAX. It takes part in W2 and W3 only;
  the other works would need a program around Keras.
- thinc is left out. Its own LSTM (9.1.1) does not compute the gradient of its loss: its parameter gradients differ from
  central differences by more than their size. Its other LSTM is PyTorch's.
- Adam's epsilon is 1e-15 everywhere, because libraries add it in different places.
- With two threads, numpyrnn trains with `workers=2`: where it pays, each thread runs half of the sequences through the
  whole model, with one BLAS thread. Generation uses one thread. W4 with N of 32 or more is divided in the same way, and
  each half is an array of its own, as in training; with fewer sequences, BLAS uses both threads. For all contenders, an
  unmeasured run precedes each run with two threads that takes less than half a second.
- The order rotates, but each contender always follows the same one. Where a pass needs hundreds of megabytes of fresh
  memory (W4 with H N T above about four million), the contender after the floor, which keeps its arrays, may be slowed
  down.
- "floor" is the time of only the matrix products that an LSTM layer needs, computed by NumPy into existing arrays.
- W4: x and h have the same size. The gradients of x and of all weights are computed. The time of the forward pass is
  measured within the runs of both passes. Where a turn takes over a second, there is no warm-up.
- Memory is the peak of a worker's resident set (`ru_maxrss`), including the interpreter, the libraries and the data.
"""


def digits(x):
    """A number as text, with about three significant digits."""
    return f"{x:,.{0 if x >= 100 else 1 if x >= 10 else 2}f}"


def duration(seconds):
    unit, name = next(pair for pair in ((1, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns")) if seconds >= pair[0])
    return f"{digits(seconds / unit)} {name}"


def spread(values):
    """The median, and the range if there is more than one value; nothing if there is none."""
    if not values:
        return ""
    text = digits(median(values))
    return f"{text} ({digits(min(values))} to {digits(max(values))})" if len(values) > 1 else text


def megabytes(its_turns):
    return f"{its_turns['peak_rss'] / 1e6:.0f} MB" if its_turns.get("peak_rss") else ""


def table(*rows):
    """A Markdown table; the first row is the head."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]) + "\n"


# ------------------------------------------------------------------------------------------------------------- figures


class Measured:
    """The results with one number of threads. Methods return empty lists for what was not measured."""

    def __init__(self, results, threads):
        self.works, self.starts = results["works"].get(str(threads), {}), results.get("starts", {})

    def times(self, work, contender, part="seconds"):
        """Seconds a unit (a step or an id), turn by turn."""
        its_turns = self.works.get(work, {}).get(contender, {})
        return [seconds / units for seconds, units in zip(its_turns.get(part, []), its_turns.get("units", []))]

    def speed(self, work, ours, part="seconds", peer=TORCH):
        """The speed relative to the peer's, turn by turn."""
        return [theirs / mine for theirs, mine in zip(self.times(work, peer, part), self.times(work, ours, part))]

    def mean_speed(self, ours, part="seconds", peer=TORCH, least_N=1, least_H=1):
        """The geometric mean, over shapes of W4, of the median speed relative to the peer's."""
        shapes = [name for name, (H, N, _) in SHAPES.items() if least_N <= N and least_H <= H]
        medians = [median(turns) for name in shapes if (turns := self.speed(name, ours, part, peer))]
        return [geometric_mean(medians)] if medians else []

    def memory(self, work, ours):
        """The peak memory relative to PyTorch's."""
        peaks = [self.works.get(work, {}).get(contender, {}).get("peak_rss") for contender in (ours, TORCH)]
        return [peaks[0] / peaks[1]] if all(peaks) else []

    def start(self, name):
        """The seconds of a process, less those of one that does nothing, turn by turn."""
        return [seconds - bare for seconds, bare in zip(self.starts.get(name, []), self.starts.get(BARE, []))]

    def import_time(self, ours):
        """The time of the import relative to PyTorch's, turn by turn."""
        own = self.start(IMPORT if ours == PLAIN else FAST_IMPORT)
        return [mine / theirs for mine, theirs in zip(own, self.start("import torch"))]


def at_work(work):
    return lambda measured, ours: measured.speed(work, ours)


def at_layers(**which):
    return lambda measured, ours: measured.mean_speed(ours, **which)


TARGETS = (  # name, target with one thread, with two, measure; if the name ends in "at most", lower is better
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
            rows.append((contender, threads, times, spread(ratios), megabytes(its_turns)))
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
            means.append((f"{ours}, {words}", *map(spread, values)))
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
    text = f"Whole processes with one thread, less the {bare} of `{BARE}`. The tables of W2 and W3 show the memory.\n\n"
    return f"## W6: start-up\n\n{text}{table(*rows)}"


def machine_section(results):
    rows = [("", ""), *((name, str(value)) for name, value in results["machine"].items())]
    for contender, its_turns in results["works"].get("1", {}).get("W2 float32", {}).items():
        pools = [*its_turns.get("pools", []), its_turns.get("about", "")]
        rows.append((f"pools of threads: {contender}", "; ".join(filter(None, pools))))
    missing = "; ".join(f"{name} ({', '.join(packages)})" for name, packages in results["left out"].items())
    rows += [("left out, not installed", missing or "nothing"), ("duration", f"{results['minutes']:.0f} minutes")]
    return "## The machine\n\n" + table(*rows)


def page(results):
    """The text of RESULTS.md."""
    sections = [INTRO, targets(results), machine_section(results)]
    first = [work_section(results, work) for work in WORDS]
    layers = [layer_section(results, threads) for threads in results["works"]]
    sections += [*first[:4], *layers, *first[4:-1], start_section(results), first[-1], "## Notes\n" + NOTES]
    return "\n".join(filter(None, sections))


# ------------------------------------------------------------------------------------------------- docs/speed.md


def speed_table(results):
    one, two = Measured(results, 1), Measured(results, 2)
    has_fast = any(FAST in work for work in results["works"]["1"].values())
    head = ("work", "ours, 1 thread", "x textbook", "x PyTorch, 1 thread", "x PyTorch, 2 threads")
    rows = [(*head, "with `[fast]`: 1, 2 threads") if has_fast else head]
    for work, (words, unit) in WORDS.items():
        cells = [words.removeprefix("generation: "), f"{duration(median(one.times(work, PLAIN)))} a {unit}"]
        lists = (one.speed(work, PLAIN, peer="textbook"), one.speed(work, PLAIN), two.speed(work, PLAIN))
        cells += map(spread, lists)
        rows.append((*cells, ", ".join(digits(median(m.speed(work, FAST))) for m in (one, two))) if has_fast else cells)
    for words, which in (("all", {}), ("N >= 64", {"least_N": 64})):
        cells = [f"a dense LSTM layer, forward and backward, {words} shapes of W4, geometric mean", "", ""]
        cells += [spread(measured.mean_speed(PLAIN, **which)) for measured in (one, two)]
        fast = ", ".join(spread(measured.mean_speed(FAST, **which)) for measured in (one, two)) if has_fast else ""
        rows.append((*cells, fast) if has_fast else cells)
    memory = ", ".join(f"{work} {digits(median(one.memory(work, PLAIN)))}" for work in ("W2 float32", "W3"))
    imports = f"`import numpyrnn` takes {spread(one.import_time(PLAIN))} of the time of `import torch`."
    last = f"{imports} Peak memory relative to PyTorch: {memory}.\n"
    machine = results["machine"]
    where = f"{machine['processor']}, {machine['cores']} cores; {machine['versions']}. {machine['date']}.\n"
    return f"{table(*rows)}\n{last}{where}"


def renewed(text, results):
    """The text of `docs/speed.md` with a new table between its marks."""
    try:
        before, rest = text.split(MARKS[0])
        _, after = rest.split(MARKS[1])
    except ValueError:
        raise SystemExit(f"{SPEED.name} must have the marks {' and '.join(MARKS)} once each") from None
    return f"{before}{MARKS[0]}\n{speed_table(results)}{MARKS[1]}{after}"


def packed(results):
    """What the tables need of the results, as JSON with one line for each contender."""
    names = {threads: dict(works) for threads, works in results["works"].items()}
    for threads, works in names.items():
        for work, contenders in works.items():
            with_pools = ("pools", "about") if (threads, work) == ("1", "W2 float32") else ()
            works[work] = {name: short(turns, with_pools) for name, turns in contenders.items()}
    text = json.dumps(results | {"works": names}, separators=(",", ":"))
    return re.sub(r'(?="[^"]+":\{"(?:units|seconds|forward)":)', "\n", text) + "\n"


def short(turns, others):
    """The figures of a contender in a work, seconds with six digits."""
    kept = {name: turns[name] for name in ("units", "peak_rss", *others) if name in turns}
    seconds = {name: [float(f"{s:.6g}") for s in turns[name]] for name in ("seconds", "forward") if name in turns}
    return {"units": kept.pop("units"), **seconds, **kept}


def write(results):
    """Write results.json and RESULTS.md, both or neither."""
    from music.outputs import write_together  # late: a worker's peak memory includes what the driver held at its start

    text = packed(results)
    write_together({RESULTS: text.encode(), PAGE: page(json.loads(text)).encode()})


def main():
    from music.outputs import write_together

    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--check", action="store_true", help="write nothing; exit with 1 if docs/speed.md differs")
    check = options.parse_args().check
    results, old = json.loads(RESULTS.read_text()), SPEED.read_text()
    new = renewed(old, results)
    if not check:
        write_together({PAGE: page(results).encode(), SPEED: new.encode()})
    elif new != old:
        raise SystemExit("docs/speed.md must have the table of results.json, it has another; run benchmarks/report.py")


if __name__ == "__main__":
    main()
