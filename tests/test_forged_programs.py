"""Forged model files given to every program: one error, or a model that works; never a traceback, never much work."""

import importlib.metadata
import tracemalloc
from configparser import ConfigParser
from dataclasses import MISSING, fields, replace
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from model_files import NEW, OLD, parts_of, write_parts
from test_forged_models import mutated
from test_piano_model import made_up

import dinos.cli
import jazz.cli
import numpyrnn.cli
import numpyrnn.verify
import piano.cli
import sonnets.cli
from dinos.model import NameTraining
from dinos.model import Settings as DinoSettings
from jazz.model import Settings as JazzSettings
from jazz.reading.corpus import read_tunes
from jazz.training import JazzTraining
from numpyrnn import NumpyrnnError, load, save
from numpyrnn.verify import verify
from piano.model import Settings as PianoSettings
from piano.training import PianoTraining
from sonnets.model import SonnetTraining
from sonnets.recipes import Settings as SonnetSettings
from workbench.files import CHECKS, data_path

ROOT = Path(__file__).parents[1]
SMALL = {"hidden": 4, "embedding": 3}
TEXT = "the rain in spain\nstays mainly\nin the plain\n\n" * 15
POEM = {"teacher": 0.0, "steps": 5, "batch_size": 2, "epochs": 1}
MADE = {
    "dinos": lambda: NameTraining(["anna", "bob", "carla"], ["dan"], DinoSettings(**SMALL, teacher=0.0)),
    "jazz": lambda: JazzTraining.of_tunes(
        read_tunes(sorted(data_path("choruses").glob("*.txt"))[:3]), JazzSettings(**SMALL)
    ),
    "sonnets": lambda: SonnetTraining(TEXT[:600], TEXT[600:], SonnetSettings(**SMALL, **POEM)),
    "piano": lambda: PianoTraining.of_pieces(
        made_up(4), PianoSettings(**SMALL, window=8, min_count=3, rhythm_count=3, epochs=1)
    ),
}
SETTINGS = {"dinos": DinoSettings, "jazz": JazzSettings, "sonnets": SonnetSettings, "piano": PianoSettings}
APPS = {"dinos": dinos.cli.app, "jazz": jazz.cli.app, "sonnets": sonnets.cli.app, "piano": piano.cli.app}
USES = {
    "dinos": ("sample -n 2", "evaluate --samples 3"),
    "jazz": ("improvise --form ii-v-i --no-lead-sheet --force", "evaluate --samples 1 --solos 1"),
    "sonnets": ("write --lines 1 --length 9", "evaluate --samples 5"),
    "piano": ("play --length 3 --force", "evaluate --samples 5"),
}
programs = pytest.mark.parametrize("program", MADE)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The bytes of a small trained model of each program."""
    path, found = tmp_path_factory.mktemp("made") / "model.npz", {}
    for program, make in MADE.items():
        training = make()
        training.run(1)
        save(path, training.checkpoint())
        found[program] = path.read_bytes()
    return found


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("workbench.run.plot_history", lambda *_: None)
    monkeypatch.setattr("jazz.playing.solo.Solo.write", lambda *_, **__: [Path("solo.mid")])
    monkeypatch.setattr("piano.play.Music.write", lambda *_, **__: [], raising=False)
    return tmp_path / "model.npz"


def ways(program, path):
    """The command lines that read a model."""
    yield from (f"{use} --model {path}".split() for use in USES[program])
    yield f"train --resume {path} --epochs 2 --out {path.parent}/new.npz --force".split()


def outcome(app, arguments):
    """Run a command; return its one-line error, or None if it went well."""
    done = CliRunner().invoke(app, arguments)
    if isinstance(done.exception, NumpyrnnError):
        message = str(done.exception)
        assert len(message) < 1000, message
        assert len(message.splitlines()) == 1, message
        return message
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise AssertionError(f"{arguments}: {done.exception!r}") from done.exception
    assert done.exit_code == 0, done.output
    return None


@programs
@pytest.mark.parametrize("form", [OLD, NEW], ids=["old", "new"])
def test_a_good_file_is_used_by_every_command(made, path, program, form):
    write_parts(path, *parts_of(made[program]), form)
    assert [outcome(APPS[program], way) for way in ways(program, path)] == [None] * 3


FORGED = {
    "layers": [10**6, 10**30, 0, -1, 9, None, "1", 1.5, True, [1], {}],
    "hidden": [10**6, 4097, 0, -1, None, "4", 4.0, True, []],
    "embedding": [10**9, -1, None, "3"],
    "teacher_order": [10**19, 10**6, 0, -1, None, 2.5],
    "batch_size": [10**19, 0, -1, None],
    "width": [10**19, 0, None],
    "window": [10**19, 0, 7],
    "steps": [10**19, 0, None],
    "stride": [10**19, -1],
    "dropout": [float("1e400"), -0.1, 1.5, "0.5", None, True, 1],
    "learning_rate": ["0.1", None, [], True, -1.0, 0, 1e308, 10**400],
    "beta2": [1, 1.5, None],
    "clip_norm": [0, -1, "1"],
    "average": [2, -1, None, 1],
    "patience": [10**30, 0, None],
    "seed": [-1, 1.5, None, "0", 10**400],
    "epochs": [10**30, 0],
    "cell": ["LSTM", None, [], 3, "x" * 10**6],
    "form": ["whole", None, []],
    "context": ["chord", ["mood"], None, 3, [[]], [None]],
    "model": ["wavenet", "lstm", None, []],
    "split": ["half", None],
    "shared": ["space", 3, []],
    "schedule": ["step", None, 3],
    "optimiser": ["sgd", None],
    "rhythm": [1, None, "yes"],
    "swing": [1],
}


@pytest.mark.torture
@programs
def test_a_forged_setting_is_refused_at_once_by_every_command(made, path, program, rounds, tell):
    arrays, about = parts_of(made[program])
    known, tried = {one.name for one in fields(SETTINGS[program])} | {"swing"}, 0
    cases = [(name, value) for name in sorted(FORGED.keys() & known) for value in FORGED[name]]
    for i, (name, value) in list(enumerate(cases))[:: rounds(7, 1)]:
        config = about["config"] | {"settings": about["config"]["settings"] | {name: value}}
        write_parts(path, arrays, about | {"config": config})
        for way in list(ways(program, path))[i % 3 :: rounds(3, 1)]:
            tracemalloc.start()
            try:
                assert outcome(APPS[program], way), f"{name}={value!r:.40} was taken by {way[0]}"
                assert tracemalloc.get_traced_memory()[1] < path.stat().st_size + (20 << 20)
            finally:
                tracemalloc.stop()
            tried += 1
    assert tried >= len(cases) // 7
    tell(f"{tried} forged settings of {program} models: all refused, within 20 MiB")


@programs
@pytest.mark.parametrize("settings", [None, [], "lstm", 3, {}, {"hidden": 4096, "layers": 8}], ids=str)
def test_settings_that_are_none_or_those_of_another_network_are_refused(made, path, program, settings):
    arrays, about = parts_of(made[program])
    write_parts(path, arrays, about | {"config": about["config"] | {"settings": settings}})
    assert all(outcome(APPS[program], way) for way in ways(program, path))


@programs
@pytest.mark.parametrize("value", [None, 3, "", "ab", [], [3], [None], {}, {"a": 1}, [[]], [{}], ["a"] * 3], ids=str)
@pytest.mark.parametrize("part", ["training", "held_out", "tokens", "keep_case"])
def test_data_of_another_type_is_refused(made, path, program, part, value):
    arrays, about = parts_of(made[program])
    if part not in about["config"]:
        return
    write_parts(path, arrays, about | {"config": about["config"] | {part: value}})
    assert all(outcome(APPS[program], way) for way in ways(program, path))
    with pytest.raises(NumpyrnnError):
        CHECKS[program](load(path))


@pytest.mark.torture
@programs
def test_a_random_change_is_one_error_or_a_model_that_works(made, path, program, rounds, tell):
    rng, refused = np.random.default_rng(0), 0
    n = rounds(4, 100)
    arrays, about = parts_of(made[program])
    for i in range(n):
        # most of a config are ids and names, so the other parts are changed as often as these
        part = ["config", "training", "settings", None][i % 4]
        if part == "settings":
            changed = about["config"] | {"settings": mutated(about["config"]["settings"], rng)}
            other = about | {"config": changed}
        else:
            other = mutated(about, rng) if part is None else about | {part: mutated(about[part], rng)}
        write_parts(path, arrays, other, [NEW, OLD][i % 2])
        refused += sum(outcome(APPS[program], way) is not None for way in ways(program, path))
    tell(f"{n} random changes of a {program} model, 3 commands each: {refused} refused, the others worked")


# the command line and the settings


def options(app):
    """The options of the command `train`, and of other commands that make settings."""
    return [one for name in ("train", "compare") if name in app.commands for one in app.commands[name].params]


@programs
def test_the_settings_admit_what_the_command_line_can_make(program):
    declared = {one.name: one for one in fields(SETTINGS[program])}
    seen = 0
    for option in options(APPS[program]):
        field = declared.get(option.name)
        if field is None:
            continue
        seen += 1
        base = SETTINGS[program]()
        if isinstance(option.type, click.IntRange | click.FloatRange):
            for end in (option.type.min, option.type.max):
                if end is not None:
                    replace(base, **{option.name: end})
        elif isinstance(option.type, click.Choice):
            for choice in option.type.choices:
                replace(base, **{option.name: choice})
    assert seen >= 3


@programs
def test_every_setting_has_a_range_or_known_values(program):
    for one in fields(SETTINGS[program]):
        assert one.default is not MISSING
        assert isinstance(one.default, bool) or one.metadata.keys() & {"range", "known"}, one.name


@programs
def test_settings_are_checked_in_python_too(program):
    for one in fields(SETTINGS[program]):
        for value in ([None], {}, object(), float("nan")):
            with pytest.raises(NumpyrnnError, match=one.name):
                SETTINGS[program](**{one.name: value})


# verify


@pytest.fixture
def registered(monkeypatch):
    """The entry points of setup.cfg, whether or not they are installed."""
    config = ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg", "utf-8")
    group = numpyrnn.verify.GROUP
    pairs = (line.split(" = ") for line in config["options.entry_points"][group].strip().splitlines())
    points = importlib.metadata.EntryPoints(importlib.metadata.EntryPoint(*pair, group) for pair in pairs)
    monkeypatch.setattr("numpyrnn.verify.entry_points", points.select)
    return points


def test_every_program_with_a_model_is_registered(registered):
    assert {point.name: point.load() for point in registered} == {name: CHECKS[name] for name in MADE}


@programs
def test_verify_says_what_a_file_holds(made, path, program, registered):
    path.write_bytes(made[program])
    done = CliRunner().invoke(numpyrnn.cli.app, ["verify", str(path)])
    assert done.exit_code == 0
    n = load(path).model.params.flat.size
    words = f"a model of {program}, {n:,} parameters, 'numpyrnn model 2', SHA-256 right; can be resumed after epoch 1."
    assert done.stdout == f"{path}: {words}\n"
    write_parts(path, *parts_of(made[program]), OLD)
    assert "'numpyrnn model 1', an old file without a digest; can be resumed" in verify(path)


@programs
def test_the_shipped_models_are_verified(program, registered):
    assert "SHA-256 right; finished: cannot be resumed." in verify(ROOT / f"data/models/{program}.npz")


@programs
def test_verify_refuses_what_the_program_would_refuse(made, path, program, registered):
    arrays, about = parts_of(made[program])
    settings = about["config"]["settings"] | {"hidden": 5}
    write_parts(path, arrays, about | {"config": about["config"] | {"settings": settings}})
    load(path)
    with pytest.raises(NumpyrnnError, match=r"model.npz: .*the network must be that of its settings"):
        verify(path)


@programs
@pytest.mark.parametrize(("part", "name", "value"), [("settings", "average", 0.25), (None, "kind", "Lion")])
def test_verify_refuses_a_training_of_other_settings(made, path, program, registered, part, name, value):
    arrays, about = parts_of(made[program])
    state = about["training"]
    change = {"settings": state["settings"] | {name: value}, None: state["optimizer"] | {name: value}}[part]
    write_parts(path, arrays, about | {"training": state | {part or "optimizer": change}})
    with pytest.raises(NumpyrnnError, match=r"average|the optimiser must be one of"):
        verify(path)
    assert outcome(APPS[program], f"train --resume {path} --epochs 2 --out new.npz".split())


@pytest.mark.parametrize("part", ["training", "held_out"])
def test_a_name_that_occurs_twice_is_refused(made, path, part):
    arrays, about = parts_of(made["dinos"])
    names = about["config"][part] + about["config"]["training"][:1]
    write_parts(path, arrays, about | {"config": about["config"] | {part: names}})
    with pytest.raises(NumpyrnnError, match="must be distinct"):
        CHECKS["dinos"](load(path))


def test_verify_of_a_program_that_is_not_installed_says_so(made, path):
    arrays, about = parts_of(made["dinos"])
    write_parts(path, arrays, about | {"kind": "poems"})
    assert "a model of poems, a program that is not installed here" in verify(path)
