"""The tables agree with the measurements; contenders take turns; a speed below its floor is a miss."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def module(name):
    @pytest.fixture
    def load(monkeypatch):
        monkeypatch.syspath_prepend(str(BENCHMARKS))
        return importlib.import_module(name)

    return load


report, arena, bench, against = map(module, ("report", "arena", "bench", "against"))


def test_the_speed_table_of_the_readme_is_that_of_the_last_run():
    subprocess.run([sys.executable, str(BENCHMARKS / "report.py"), "--check"], check=True)


def test_the_results_page_is_that_of_the_last_run(report):
    assert report.PAGE.read_text("utf-8") == report.page(json.loads(report.RESULTS.read_text()))


def test_the_results_are_kept_with_nothing_but_what_the_tables_need(report):
    text = report.RESULTS.read_text()
    assert text == report.packed(json.loads(text))


def test_every_work_was_measured_with_one_and_two_threads_in_at_least_seven_turns(report):
    results = json.loads(report.RESULTS.read_text())
    expected = {*report.WORDS, *report.SHAPES}
    for threads in ("1", "2"):
        measured = results["works"][threads]
        assert measured.keys() == expected
        for work in measured.values():
            assert {report.PLAIN, report.FAST, report.TORCH} <= work.keys()
            assert all(len(turns["seconds"]) >= 7 for turns in work.values())


def test_a_target_is_met_if_the_median_reaches_it(report):
    assert report.verdict(1.5, [1.4, 1.6, 1.7], False)[1] == "met"
    assert report.verdict(1.5, [1.4, 1.45, 1.7], False)[1] == "**not met**"
    assert report.verdict(0.1, [0.09, 0.08, 0.2], True)[1] == "met"
    assert report.verdict(0.1, [0.11], True)[1] == "**not met**"
    assert report.verdict(0.1, [], True) == ("not measured", "")


def test_each_contender_is_first_in_turn(arena):
    contenders = {"A": 1, "B": 2, "C": 3}
    assert ["".join(arena.rotated(contenders, turn)) for turn in range(5)] == ["ABC", "BCA", "CAB", "ABC", "BCA"]
    assert arena.rotated(["A"], 7) == ["A"]


def test_rotating_contenders_keep_their_own_seconds_and_results(bench):
    called = []
    contenders = {name: lambda name=name: called.append(name) or name.lower() for name in "AB"}
    seconds, results = bench.take_turns(contenders, 3)
    assert "".join(called) == "AB" + "AB" + "BA" + "AB"  # the first pair is the warm-up
    assert results == {"A": "a", "B": "b"}
    assert [len(seconds[name]) for name in "AB"] == [3, 3]


@pytest.fixture
def measured():
    """For each work, each contender's seconds turn by turn, with two units in each turn."""

    def of(**turns):
        return {
            name.replace("_", " "): {"seconds": seconds, "units": [2] * len(seconds)} for name, seconds in turns.items()
        }

    return {
        "W3": of(
            numpyrnn=[4, 2, 4], numpyrnn_before=[4, 4, 2], numpyrnn_fast=[1, 1, 1], numpyrnn_fast_before=[2, 2, 3]
        ),
        "W7": of(numpyrnn=[100, 100, 100], numpyrnn_before=[96.9, 99, 90]),
        "W1": of(numpyrnn=[100, 100, 100], numpyrnn_before=[97, 99, 90]),
        "W4 H 64 N 1 T 32": of(numpyrnn=[100], numpyrnn_before=[95]),
        "W4 H 64 N 16 T 32": of(numpyrnn=[100], numpyrnn_before=[94.9]),
    }


def test_ratios_are_taken_within_a_turn_and_a_median_below_the_floor_is_a_miss(against, measured):
    found = [(work, ours, pytest.approx(ratios), missed) for work, ours, ratios, missed in against.verdicts(measured)]
    assert found == [
        ("W3", "numpyrnn", [1, 2, 0.5], False),
        ("W3", "numpyrnn fast", [2, 2, 3], False),
        ("W7", "numpyrnn", [0.969, 0.99, 0.9], True),
        ("W1", "numpyrnn", [0.97, 0.99, 0.9], False),
        ("W4 H 64 N 1 T 32", "numpyrnn", [0.95], False),
        ("W4 H 64 N 16 T 32", "numpyrnn", [0.949], True),
    ]


def test_the_table_shows_both_times_of_a_unit_and_their_ratios_and_the_misses(against, measured):
    lines = against.table(measured).splitlines()
    assert lines[2] == "| W3 | numpyrnn | 2.00 s | 2.00 s | 1.000 (0.50 to 2.00) |  |"
    assert lines[3] == "| W3 | numpyrnn fast | 1.00 s | 500 ms | 2.000 (2.00 to 3.00) |  |"
    assert [line.split(" | ")[0].strip("| ") for line in lines if "**miss**" in line] == ["W7", "W4 H 64 N 16 T 32"]


def test_turns_of_new_processes_are_appended_to_the_earlier_ones(against):
    results = {"W3": {"numpyrnn": {"seconds": [1.0], "units": [4]}}}
    against.join(results, {"W3": {"numpyrnn": {"units": [5, 6], "seconds": [2.0, 3.0], "losses": [7]}}})
    assert results == {"W3": {"numpyrnn": {"seconds": [1.0, 2.0, 3.0], "units": [4, 5, 6]}}}


def test_the_two_sides_differ_only_in_their_checkout(against, arena, tmp_path):
    sides = {contender.name: contender for contender in against.sides(tmp_path)}
    assert {name.removesuffix(" before") for name in sides} <= {"numpyrnn", "numpyrnn fast"}
    for name in ("numpyrnn", *(["numpyrnn fast"] if "numpyrnn fast" in sides else [])):
        now, before = sides[name], sides[f"{name} before"]
        assert (now.home, before.home) == (BENCHMARKS.parent, tmp_path)
        assert (now.module, now.works, now.environment) == (before.module, before.works, before.environment)
        assert arena.environment(1, {}, before.home)["PYTHONPATH"] == str(tmp_path)


def test_an_unknown_commit_is_reported_in_one_line():
    command = [sys.executable, str(BENCHMARKS / "against.py"), "no-such-commit"]
    made = subprocess.run(command, capture_output=True, text=True)
    assert made.returncode == 1
    assert made.stderr.splitlines() == ["against.py needs a commit of this repository, got 'no-such-commit'"]


def test_every_reason_for_a_surviving_fault_belongs_to_a_line_that_is_there():
    _, *entries = (BENCHMARKS / "survivors.txt").read_text("utf-8").strip().split("\n\n")
    for entry in entries:
        path, old, new, *reason = entry.splitlines()
        lines = [line.strip() for line in (BENCHMARKS.parent / path).read_text("utf-8").splitlines()]
        assert old.removeprefix("- ") in lines, entry
        assert new.startswith("+ ")
        assert reason


def quality(name, *arguments):
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / name), *arguments], capture_output=True, text=True, check=False
    )


def test_the_share_of_chord_symbols_that_are_read_is_printed_and_must_be_large(tmp_path):
    (tmp_path / "jazz-standards.tsv").write_text("# count, symbol\n999\tC7b9\n1\tH7\n")
    (tmp_path / "weimar.tsv").write_text("99\tC79b\n1\tCj7\n")
    done = quality("chords.py", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "jazz-standards.tsv: 99.90% of the occurrences are read" in done.stdout
    assert "refused: 1 H7" in done.stdout
    (tmp_path / "weimar.tsv").write_text("98\tC79b\n2\tXj7\n")
    assert quality("chords.py", str(tmp_path)).returncode == 1


@pytest.mark.parametrize("name", ["chords.py", "leadsheets.py"])
def test_a_folder_without_the_files_of_chord_symbols_is_named(tmp_path, name):
    done = quality(name, str(tmp_path))
    assert done.returncode == 1
    assert done.stdout == (
        f"The folder of chord symbols, {tmp_path}, has no jazz-standards.tsv and no weimar.tsv: name another.\n"
    )
