"""Every command of every program ends well, whatever its options are: with a result, or with one error line."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

import click
import pytest

import command_tree as tree

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of its own, which is the current one, with data and models for all commands."""
    path = tmp_path_factory.mktemp("outer") / "folder"
    path.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        tree.make_folder(path)
        yield path


@pytest.mark.torture
def test_any_value_of_any_option_gives_a_result_or_one_error_line(folder, rounds, tell):
    cases = tree.cases(pairs=rounds(100, 2000))
    cases = Random(0).sample(cases, min(rounds(700, len(cases)), len(cases)))
    faults = []
    for program, words in cases:
        if found := tree.fault(program, words, folder):
            faults.append(f"{program} {' '.join(word[:40] for word in words)!r}: {found}")
    if log := os.environ.get("H3LOG"):
        Path(log).write_text("\n".join(faults))
    tell(f"{len(cases):,} command lines with odd values: {len(faults)} without a result or one error line")
    assert not faults, "\n".join(faults)
