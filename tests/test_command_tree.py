"""Every command of every program ends well, whatever its options are: with a result, or with one error line."""

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import click
import command_tree as tree
import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in folders here")
HUGE = str(10**30)
PARAMETERS = [
    (program, name, parameter)
    for program, app in tree.PROGRAMS.items()
    for name, command in app.commands.items()
    for parameter in command.params
]


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
    cases = tree.cases(pairs=rounds(60, 600))
    cases = Random(0).sample(cases, min(rounds(120, 5_000), len(cases)))
    faults = [f"{program} {words!r:.300}: {fault}" for program, words, fault in tree.faults(cases, folder)]
    tell(f"{len(cases):,} command lines with odd values: {len(faults)} without a result or one error line")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", HUGE, "-1", "9" * 5000])
def test_a_number_that_is_none_or_has_no_end_is_refused(folder, value):
    for program, name, parameter in PARAMETERS:
        if is_count(parameter) or (is_real(parameter) and value not in (HUGE, "9" * 5000)):
            status, _, errors = tree.invoke(program, words_with(program, name, parameter, value))
            assert status in (1, 2), (program, name, parameter.name)
            assert tree.fault_of(status, "", errors) is None
            assert f"{value:.30}" in errors


@pytest.mark.parametrize("value", ["1e308", "1e-308"])
def test_an_extreme_number_gives_a_result_or_one_error_line(folder, value):
    cases = [(p, words_with(p, name, parameter, value)) for p, name, parameter in PARAMETERS if is_real(parameter)]
    assert cases
    assert not list(tree.faults(cases, folder))


def is_real(parameter):
    return isinstance(parameter.type, click.FloatRange)


def is_count(parameter):
    return isinstance(parameter.type, click.IntRange)


def words_with(program, name, parameter, value):
    command = tree.PROGRAMS[program].commands[name]
    return tree.arguments(name, command, tree.usual(program, command) | {parameter.name: value})


@pytest.mark.parametrize("value", ["", "\0", "a\0b"], ids=repr)
def test_an_empty_path_and_a_zero_byte_are_refused(folder, value):
    for program, name, parameter in PARAMETERS:
        if tree.is_path(parameter):
            status, _, errors = tree.invoke(program, words_with(program, name, parameter, value))
            assert status == 2, (program, name, parameter.name)
            assert errors.endswith("A path must not be empty or hold a zero byte.\n")


@pytest.mark.parametrize("value", ["pipe", "socket", "vast.bin", "/dev/zero", "folder", "/dev/full"])
def test_data_and_models_are_plain_files_of_a_bearable_size(folder, value):
    for program, name, parameter in PARAMETERS:
        read = parameter.name in ("plain_data", "data", "file", "texts", "primer", "resume", "midi")
        if read and tree.is_path(parameter) and tree.usual(program, tree.PROGRAMS[program].commands[name]):
            status, _, errors = tree.invoke(program, words_with(program, name, parameter, value))
            assert status in (1, 2), (program, name, parameter.name)  # 2 if the data are given twice
            assert tree.fault_of(status, "", errors) is None


def test_every_number_has_an_upper_end_that_the_help_names():
    for program, name, parameter in PARAMETERS:
        assert type(parameter.type) not in (type(click.INT), type(click.FLOAT), click.FloatRange, click.Path)
        if is_count(parameter):
            assert parameter.type.max is not None, (program, name, parameter.name)
            command = tree.PROGRAMS[program].commands[name]
            shown = command.get_help(click.Context(command, terminal_width=1000))
            assert f"<=x<={parameter.type.max}" in shown


@pytest.mark.torture
def test_real_commands_end_as_those_in_one_process_do(folder, rounds, tell):
    cases = [case for case in tree.cases() if not any("\0" in word or len(word) > 1000 for word in case[1])]
    cases = Random(1).sample(cases, rounds(4, 60))
    for program, words in cases:
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONIOENCODING": "utf-8"}
        command = [sys.executable, "-m", program, *map(os.fsencode, words)]
        before = tree.files_in(folder)
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=600)
        tree.remove([path for path in tree.files_in(folder) if path not in before])
        status, _, _ = tree.invoke(program, words)
        tree.remove([path for path in tree.files_in(folder) if path not in before])
        assert tree.fault_of(done.returncode, done.stdout.decode(), done.stderr.decode()) is None, (program, words)
        assert done.returncode == status, (program, words)
    tell(f"{len(cases)} real commands with odd values: all with a result or one error line")
