"""The command `sweep`: the same bytes however it is spread, what is done is kept, and a failure is named."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from dinos.cli import app as dinos
from jazz.cli import app as jazz
from piano.cli import app as piano
from sonnets.cli import app as sonnets
from workbench import sweep as sweeps
from workbench.jobs import DiedError, Jobs

ROOT = Path(__file__).parents[1]
CLUSTER = """
from distributed import LocalCluster
if __name__ == "__main__":
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    print(cluster.scheduler_address, flush=True)
    input()
"""
NAMES = ["aba", "abab", "baba", "bab", "abba", "baab", "babab", "ababa", "bb", "aab"]


def run(*words, app=dinos):
    return CliRunner().invoke(app, ["sweep", *map(str, words)])


@pytest.fixture
def names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("names.txt").write_text("\n".join(NAMES))
    return ["names.txt", "--hidden", "4,5", "--seed", "0:3", "--epochs", "2"]


def rows(name="dinos-sweep.jsonl"):
    head, *found = map(json.loads, Path(name).read_text().splitlines())
    assert head["program"] == "dinos"
    return found


def test_every_combination_is_trained_as_train_does_it(names):
    done = run(*names)
    assert done.exit_code == 0, done.output
    assert {(row["options"]["hidden"], row["options"]["seed"]) for row in rows()} == {
        (hidden, seed) for hidden in ("4", "5") for seed in ("0", "1", "2")
    }
    best = min(rows(), key=lambda row: row["loss"])
    lines = done.stdout.splitlines()
    assert lines[0] == "6 trainings"
    assert lines[2].split()[-4:] == ["mean", "spread", "best", "trainings"]
    means = [float(line.split()[2]) for line in lines[3:5]]
    assert means == sorted(means)
    again = next(line for line in done.stderr.splitlines() if "dinos train" in line).split()
    assert again[:3] == ["dinos", "train", "names.txt"]
    assert CliRunner().invoke(dinos, [*again[1:], "-o", "model.npz"]).exit_code == 0
    history = [json.loads(line)["valid_loss"] for line in Path("model.jsonl").read_text().splitlines()]
    if again[again.index("--hidden") + 1] == best["options"]["hidden"]:
        assert min(history) == best["loss"]
    assert min(history) in [row["loss"] for row in rows()]
    assert Path("dinos-sweep.png").read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    "how",
    [
        ["--jobs", 4],
        pytest.param(["--jobs", 2, "--backend", "dask"], marks=pytest.mark.extra("dask")),
        pytest.param(["--jobs", 2, "--backend", "ray"], marks=[pytest.mark.slow, pytest.mark.extra("ray")]),
    ],
    ids=["loky", "dask", "ray"],
)
def test_any_number_of_jobs_and_any_back_end_gives_the_same_bytes(how, names):
    for name, options in {"one": [], "many": how}.items():
        done = subprocess.run(
            [sys.executable, "-m", "dinos", "sweep", *names, "-o", f"{name}.jsonl", *map(str, options)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    for ending in ("jsonl", "png"):
        assert Path(f"one.{ending}").read_bytes() == Path(f"many.{ending}").read_bytes()


@pytest.mark.extra("dask")
@pytest.mark.slow
def test_a_cluster_of_dask_gives_the_same_bytes(names):
    run(*names, "-o", "one.jsonl")
    Path("cluster.py").write_text(CLUSTER)
    cluster = subprocess.Popen(
        [sys.executable, "cluster.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        address = cluster.stdout.readline().strip()
        command = [sys.executable, "-m", "dinos", "sweep"]
        done = subprocess.run(
            [*command, *names, "-o", "many.jsonl", "--backend", "dask", "--address", address],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    finally:
        cluster.communicate("\n", timeout=60)
    assert Path("one.jsonl").read_bytes() == Path("many.jsonl").read_bytes()


def test_what_is_done_is_not_done_again(names, monkeypatch):
    run(*names)
    before = Path("dinos-sweep.jsonl").read_bytes()
    trained = []
    once = sweeps.train_once
    monkeypatch.setattr(sweeps, "train_once", lambda module, words: trained.append(words) or once(module, words))
    done = run(*names)
    assert done.stdout.splitlines()[0] == "6 trainings, 6 of them done."
    assert (trained, Path("dinos-sweep.jsonl").read_bytes()) == ([], before)
    assert run(*[word.replace("0:3", "0:4") for word in names]).exit_code == 0
    assert len(trained) == 2
    assert len(rows()) == 8


def test_a_file_of_another_sweep_is_not_replaced(names):
    run(*names)
    before = Path("dinos-sweep.jsonl").read_bytes()
    Path("names.txt").write_text("\n".join(NAMES[1:]))
    done = run(*names)
    assert done.exit_code == 1
    assert "is no sweep with this data and these options" in str(done.exception)
    assert Path("dinos-sweep.jsonl").read_bytes() == before
    for text in ("", "{}", "no JSON", '{"format": 1}\n{}'):
        Path("other.jsonl").write_text(text)
        assert "is no sweep" in str(run(*names, "-o", "other.jsonl").exception)
    assert run(*names, "--force").exit_code == 0


def test_a_training_that_fails_is_named_and_the_others_go_on(names, monkeypatch):
    once = sweeps.train_once

    def fails(module, words):
        if words[-1] == "1":
            return {"error": "the dog ate it"}
        return once(module, words)

    monkeypatch.setattr(sweeps, "train_once", fails)
    done = run(*names)
    assert done.exit_code == 1
    assert "Failed: dinos train names.txt --hidden 4 --epochs 2 --seed 1: the dog ate it" in done.stderr
    assert done.stderr.count("Failed") == 2
    assert len(rows()) == 4
    monkeypatch.undo()


def die_of(words):
    if "3" in words:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"loss": float(words[0])}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_the_training_whose_process_dies_is_found():
    found = dict(sweeps._results(Jobs(2), die_of, [[str(i)] for i in range(6)]))
    assert {i: row.get("loss") for i, row in found.items()} == {0: 0, 1: 1, 2: 2, 3: None, 4: 4, 5: 5}
    assert "a process has died" in found[3]["error"]
    with pytest.raises(DiedError):
        list(Jobs(2).map(die_of, [["3"], ["4"]]))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups")
@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_leaves_what_is_finished(jobs, names):
    words = [*names[:2], "4", "--seed", "0:500", "--jobs", str(jobs)]
    code = "import signal, runpy; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "runpy.run_module('dinos', run_name='__main__')"  # the tests may run where Ctrl-C is ignored
    running = subprocess.Popen(
        [sys.executable, "-c", code, "sweep", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not Path("dinos-sweep.jsonl").exists():
        assert running.poll() is None
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGINT)
    out, err = running.communicate(timeout=120)
    assert (running.returncode, "Traceback" in err) == (130, False)
    assert "Interrupted. The same command goes on with the rest." in out
    assert 0 < len(rows()) < 500


def test_settings_drawn_at_random_are_some_of_all_with_every_seed(names):
    words = [word.replace("4,5", "4:12") for word in names]
    assert run(*words, "--random", 3).exit_code == 0
    found = rows()
    assert len(found) == 9
    assert len({row["options"]["hidden"] for row in found}) == 3
    before = Path("dinos-sweep.jsonl").read_bytes()
    run(*words, "--random", 3, "--force")
    assert Path("dinos-sweep.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--hidden", "8,x"], "'x' is not a valid integer"),
        (["--hidden", "8,8"], "The values must differ"),
        (["--hidden", ""], "'' is not a valid integer"),
        (["--seed", "5:2"], "there must be one, got '5:2'"),
        (["--seed", "0:x"], "'0:x' is not a range such as 0:16"),
        (["--seed", "0:5:0"], "is not a range"),
        (["--seed", "0:200000"], "at most 100,000 trainings"),
        (["--seed", "0:1000", "--hidden", "1:1000"], "at most 100,000 trainings"),
        (["--hidden", "0:3"], "0 is not in the range"),
        (["--cell", "lstm,foo"], "'foo' is not one of"),
        (["--address", "tcp://x:1"], "--address needs --backend dask or ray"),
        (["-o", "x.png"], "losses are written as a .jsonl file"),
    ],
)
def test_wrong_lists_are_refused(names, words, error):
    done = run("names.txt", "--epochs", "1", *words)
    assert done.exit_code in (1, 2)
    assert error in done.stderr + str(done.exception)


@pytest.mark.parametrize("app", [dinos, jazz, sonnets, piano], ids=["dinos", "jazz", "sonnets", "piano"])
def test_every_program_sweeps_its_own_options(app):
    help_text = CliRunner().invoke(app, ["sweep", "--help"]).stdout
    train = {option.name for option in app.commands["train"].params if not getattr(option, "hidden", False)}
    sweep = {option.name for option in app.commands["sweep"].params}
    assert train - sweep == {"resume", "plot", "slim"}
    assert "--seed VALUE,..." in help_text
    assert "--resume" not in help_text


def test_a_sweep_of_sonnets_trains(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text((ROOT / "data" / "sonnets.txt").read_text("utf-8")[:3000], "utf-8")
    done = run("text.txt", "--hidden", "4,8", "--layers", 1, "--epochs", 1, app=sonnets)
    assert done.exit_code == 0, done.output
    assert "nats a character, held out" in done.stdout


# Other work that is shared among jobs


def test_many_names_are_the_same_for_any_number_of_jobs(monkeypatch):
    from dinos import model as names_model
    from workbench.files import load_model

    checkpoint = load_model(None, "dinos")
    monkeypatch.setattr(names_model, "PART", 7)
    parts = [list(names_model.sample_many(checkpoint, 20, Jobs(n), 1, prefix="tri")) for n in (1, 2)]
    assert parts[0] == parts[1]
    assert [len(part) for part in parts[0]] == [7, 7, 6]
    assert len({*parts[0][0], *parts[0][1]}) > 7  # each part has a seed of its own
    assert list(names_model.sample_many(checkpoint, 5, Jobs(2), 1)) == [names_model.sample_names(checkpoint, 5, 1)]


def test_takes_are_the_same_for_any_number_of_jobs(small_soloist):
    from jazz.playing.performance import improvise

    one, two = (improvise("Dm7 | G7", seed=3, takes=3, model=small_soloist, jobs=Jobs(n)) for n in (None, 2))
    assert [take.seed for take in one.takes] == [take.seed for take in two.takes]
    assert (one.midi, one.seed) == (two.midi, two.seed)


def test_tunes_are_the_same_for_any_number_of_jobs(tmp_path):
    from jazz.reading.corpus import read_tunes

    for path in sorted((ROOT / "data" / "choruses").glob("*.txt"))[:5]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "bad.mid").write_bytes(b"no music")
    read = []
    for jobs in (Jobs(), Jobs(2)):
        refused = []
        read.append((read_tunes([tmp_path], on_refused=refused.append, jobs=jobs), list(map(str, refused))))
    assert read[0] == read[1]
    assert len(read[0][0]) == 5
    assert "bad.mid" in read[0][1][0]
