"""Execute the notebooks and write their outputs; with arguments such as 01 05, only those.

A notebook is a text, `NN-name.md`. Its output is `outputs/NN-name.ipynb`: the same cells with what they print and draw.
It holds the SHA-256 of the text, so that a test can see which outputs are older than their text.
"""

import hashlib
import json
import os
import re
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from time import monotonic

HERE = Path(__file__).parent
OUTPUTS = HERE / "outputs"
SECONDS = 120  # for one cell
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n((?:---\n.*?^---\n)?)\n?(.*?)^```$", re.MULTILINE | re.DOTALL)
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}


def texts(wanted: list[str] | None = None) -> list[Path]:
    """The notebooks' texts, or those whose names begin with one of `wanted`."""
    return [path for path in sorted(HERE.glob("[0-9][0-9]-*.md")) if path.name.startswith(tuple(wanted or [""]))]


def output(text: Path) -> Path:
    """Where the output of a text is written."""
    return OUTPUTS / f"{text.stem}.ipynb"


def digest(text: Path) -> str:
    """The SHA-256 of a text, with the line ends of Unix."""
    return hashlib.sha256(text.read_text("utf-8").encode()).hexdigest()


def code_cells(text: Path) -> list[tuple[str, str]]:
    """The options and the code of each code cell."""
    return [(found[1], found[2]) for found in CELL.finditer(text.read_text("utf-8"))]


def execute(text: Path) -> str:
    """Execute a text, write its output, and return a line that says how long it took."""
    import jupytext
    from nbclient import NotebookClient

    start, book = monotonic(), jupytext.read(text)
    NotebookClient(
        book, timeout=SECONDS, coalesce_streams=True, kernel_name="python3", resources={"metadata": {"path": str(HERE)}}
    ).execute()
    for number, cell in enumerate(book.cells):  # nothing that changes from run to run
        cell["id"] = f"cell-{number}"
        cell.metadata.pop("execution", None)
    book.metadata = {"kernelspec": KERNELSPEC, "numpyrnn": {"sha256": digest(text)}}
    written = json.dumps(book, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    OUTPUTS.mkdir(exist_ok=True)
    output(text).write_text(written, "utf-8", newline="\n")
    return f"{text.name}: {monotonic() - start:.0f} s, {len(written) / 1000:,.0f} kB"


if __name__ == "__main__":
    # One thread and no compiled code: the same sums in the same order, whatever the machine has.
    os.environ |= {"OPENBLAS_NUM_THREADS": "1", "NUMPYRNN_BACKEND": "plain", "PYTHONPATH": str(HERE.parents[1])}
    with ProcessPoolExecutor(2) as pool:
        for line in pool.map(execute, texts(sys.argv[1:])):
            print(line, flush=True)
