"""The examples "From Python" of the pages on names, verse and piano run as they stand, one after the other."""

import re
from pathlib import Path

import pytest

from numpyrnn import load

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize(
    ("page", "printed", "written"),
    [
        ("names", r"(\[('\w+',? ?){5}\]\n){2}", {"mine.npz": 10, "gates.png": 0}),
        ("sonnets", r"(?s)the cat.*a bird.*\d -\d+\.\d+\n", {"mine.npz": 2}),
        ("piano", r"(?s).*piano\.mid.*", {"mine.npz": 2, "started.npz": 1, "piano.mid": 0}),
    ],
)
def test_the_examples_run_and_write_what_they_name(page, printed, written, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for code in re.findall(r"```python\n(.*?)```", (DOCS / f"{page}.md").read_text("utf-8"), re.DOTALL):
        exec(code, names)
    assert re.fullmatch(printed, capsys.readouterr().out)
    assert names["training"].trainer.epoch == written["mine.npz"]
    for file in written:
        assert (tmp_path / file).stat().st_size > 0
        if file.endswith(".npz"):
            assert load(file).training is not None
    assert names["started"].trainer.epoch == 1
