"""What was measured and what is told of it agree."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def report(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return __import__("report")


def test_the_readmes_table_of_speed_is_that_of_the_last_run():
    subprocess.run([sys.executable, str(BENCHMARKS / "report.py"), "--check"], check=True)


def test_the_page_of_results_is_that_of_the_last_run(report):
    assert report.PAGE.read_text("utf-8") == report.page(json.loads(report.RESULTS.read_text()))


def test_every_work_was_measured_with_one_and_two_threads_and_seven_turns(report):
    results = json.loads(report.RESULTS.read_text())
    expected = {*report.WORDS, *report.SHAPES}
    for threads in ("1", "2"):
        measured = results["works"][threads]
        assert measured.keys() == expected
        for work in measured.values():
            assert {report.PLAIN, report.FAST, report.TORCH} <= work.keys()
            assert all(len(turns["seconds"]) >= 7 for turns in work.values())


def test_a_target_is_met_where_the_median_reaches_it(report):
    assert report.verdict(1.5, [1.4, 1.6, 1.7], False)[1] == "met"
    assert report.verdict(1.5, [1.4, 1.45, 1.7], False)[1] == "**not met**"
    assert report.verdict(0.1, [0.09, 0.08, 0.2], True)[1] == "met"
    assert report.verdict(0.1, [0.11], True)[1] == "**not met**"
    assert report.verdict(0.1, [], True) == ("not measured", "")
