"""What all command lines share: a group's command by default, and `--temperature`."""

import errno

import click
import pytest
from click.testing import CliRunner

from numpyrnn import NumpyrnnError
from numpyrnn.files import atomic_write
from workbench.options import Real, check_not_read, check_out, default_group, temperature_option, temperature_option_of


@click.group(cls=default_group("write"), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option("1.2.3", prog_name="poet")
def app():
    """A poet."""


@app.command()
@click.option("-n", "--lines", type=int, default=4)
@temperature_option_of(0.7)
def write(lines, temperature):
    """Write lines."""
    click.echo(f"write {lines} {temperature}")


@app.command()
@click.argument("file")
@temperature_option
def train(file, temperature):
    """Train on a file."""
    click.echo(f"train {file} {temperature}")


def run(*arguments):
    return CliRunner().invoke(app, arguments)


@pytest.mark.parametrize(
    ("arguments", "printed"),
    [
        ((), "write 4 0.7"),
        (("-n", "2"), "write 2 0.7"),
        (("--lines", "2", "--temperature", "0"), "write 2 0.0"),
        (("write",), "write 4 0.7"),
        (("write", "-n", "2"), "write 2 0.7"),
        (("train", "a.txt"), "train a.txt 1.0"),
        (("train", "a.txt", "--temperature", "1.5"), "train a.txt 1.5"),
    ],
)
def test_options_without_a_command_are_those_of_the_default(arguments, printed):
    done = run(*arguments)
    assert (done.exit_code, done.stdout) == (0, printed + "\n")


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_is_the_groups_and_lists_all_commands(option):
    done = run(option)
    assert done.exit_code == 0
    assert "A poet." in done.stdout
    assert "Train on a file." in done.stdout
    assert "--lines" not in done.stdout
    assert "--lines" in run("write", option).stdout
    assert "--lines" in run("-n", "2", option).stdout


def test_the_version_is_the_groups():
    assert run("--version").stdout == "poet, version 1.2.3\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sing",), "No such command 'sing'"),
        (("--file", "a.txt"), "No such option"),
        (("-n", "two"), "'two' is not a valid integer"),
        (("--temperature", "-1"), "-1.0 is not in the range 0<=x<=1000000"),
        (("train",), "Missing argument 'FILE'"),
    ],
)
def test_what_is_wrong_is_said_of_the_command_that_was_meant(arguments, message):
    done = run(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_the_help_shows_the_default_temperature_of_each_command():
    assert "[default: 0.7; 0<=x<=1000000]" in run("write", "--help").stdout
    assert "[default: 1.0; 0<=x<=1000000]" in run("train", "--help").stdout


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("nan", "Invalid value for '--temperature': nan is not a finite number."),
        ("inf", "Invalid value for '--temperature': inf is not in the range 0<=x<=1000000."),
        ("1e7", "Invalid value for '--temperature': 10000000.0 is not in the range 0<=x<=1000000."),
    ],
)
def test_a_real_number_is_finite_and_has_an_upper_end(value, message):
    result = run("--temperature", value)
    assert result.exit_code == 2
    assert result.stderr.startswith("Usage: ")
    assert result.stderr.endswith(f"Error: {message}\n")


@pytest.mark.parametrize(
    ("value", "message"), [("nan", "not a finite number"), ("inf", "not in the range"), ("0", "not in the range")]
)
def test_a_range_that_is_open_below_or_closed_above_refuses_what_lies_outside(value, message):
    @click.command()
    @click.option("--share", type=Real(0, 1, min_open=True))
    def command(share):
        click.echo(share)

    result = CliRunner().invoke(command, ["--share", value])
    assert message in result.stderr + str(result.exception)
    assert CliRunner().invoke(command, ["--share", "1"]).stdout == "1.0\n"


def test_two_groups_have_their_own_defaults():
    other = click.Group("other", commands=app.commands)
    mine = default_group("train")("mine", commands=app.commands)
    assert CliRunner().invoke(mine, []).exit_code == 2  # it lacks its FILE
    assert "Missing argument 'FILE'" in CliRunner().invoke(mine, ["--temperature", "1"]).stderr
    assert "No such option" in CliRunner().invoke(other, ["--temperature", "1"]).stderr
    assert run().stdout == "write 4 0.7\n"


@pytest.mark.parametrize("name", ["x" * 300, "x" * 5000])
def test_too_long_a_name_of_an_output_is_blamed_by_name(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(NumpyrnnError, match="xx cannot be written: File name too long"):
        check_out(path, False)
    with pytest.raises(NumpyrnnError, match="could not be written: File name too long"), atomic_write(path):
        pass
    check_not_read([path], [path])


def test_an_output_that_cannot_be_written_is_named_before_any_work(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    check_out(tmp_path / "a.npz", False)
    monkeypatch.setattr("numpyrnn.files._locked", refuse)
    with pytest.raises(NumpyrnnError, match=r"a\.npz cannot be written: Read-only file system"):
        check_out(tmp_path / "a.npz", False)
