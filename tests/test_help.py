"""Help that can be read and followed, and completion by the shell."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import command_tree as tree
import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = [(program, name) for program, app in tree.PROGRAMS.items() for name in app.commands]
SHELLS = ["bash", "zsh", "fish"]


def example_of(program, name):
    """The words of the example in a command's help, as they are shown in 80 columns."""
    *_, last = tree.help_of(program, name, 80).rstrip().splitlines()
    return shlex.split(re.fullmatch(r" *Example: (.+)", last)[1])


@pytest.mark.parametrize(("program", "name"), [*((program, None) for program in tree.PROGRAMS), *COMMANDS])
def test_the_help_ends_with_an_example_that_can_be_typed(program, name, monkeypatch):
    monkeypatch.chdir(ROOT)
    app = tree.PROGRAMS[program]
    words = example_of(program, name)
    if name == "completion":
        words = re.fullmatch(r"eval \$\((.*)\)", " ".join(words))[1].split()
    files = [word for word in words if "/" in word]
    words = [new for word in words for new in (map(str, Path().glob(word)) if "*" in word else [word])]
    assert words[0] == program
    assert name in (None, words[1])
    command, *rest = words[1:] if words[1] in app.commands else [app.usual, *words[1:]]
    assert app.commands[command].make_context(command, rest, **app.context_settings)
    for file in files:
        assert list(Path().glob(file.partition(":")[0])), file


@pytest.mark.parametrize(
    "line",
    [
        "dinos sample -n 5 --prefix tri --temperature 0.8",
        "sonnets write 'Shall I compare thee' --lines 4 --seed 1",
        "numpyrnn gradcheck docs/lstm_cell.py:case",
        "numpyrnn verify data/models/dinos.npz",
    ],
)
def test_examples_that_are_quick_run(line, monkeypatch):
    monkeypatch.chdir(ROOT)
    program, *words = shlex.split(line)
    assert example_of(program, words[0]) == [program, *words]
    status, printed, errors = tree.invoke(program, words)
    assert status == 0
    assert re.fullmatch(r"(\w.* \.\.\.\n)*(Next:\n[^$]*)?", errors)  # slow work is told
    assert printed


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("program", tree.PROGRAMS)
def test_the_help_of_a_group_has_whole_sentences(program, columns):
    app = tree.PROGRAMS[program]
    shown = tree.help_of(program, None, columns)
    assert max(map(len, shown.splitlines())) <= columns
    told = " ".join(shown.partition("Commands:")[2].split())
    for name, command in app.commands.items():
        first, *_ = command.help.split("\n\n")
        assert f"{name} {' '.join(first.split())}" in told
    assert "..." not in told


def test_every_option_is_explained_by_more_than_its_name():
    for program, name in COMMANDS:
        for option in tree.PROGRAMS[program].commands[name].params:
            if option.param_type_name == "option" and not option.hidden:
                words = set(re.findall(r"\w+", (option.help or "").partition("  [default")[0].lower()))
                assert len(words - set(option.name.split("_"))) > 1, (program, name, option.name)


# Completion


def completions(program, words):
    """What click answers to a shell that completes the last of the words."""
    environment = os.environ | {
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
        "PYTHONPATH": str(ROOT),
    }
    environment |= {f"_{program.upper()}_COMPLETE": "bash_complete", "OPENBLAS_NUM_THREADS": "1"}
    module = "numpyrnn.cli" if program == "numpyrnn" else f"{program}.cli"
    code = f"import sys; sys.argv = [{program!r}]; from workbench.start import start; start({module!r})"
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=600)
    assert ran.stderr == ""
    return [line.partition(",")[2] or line.partition(",")[0] for line in ran.stdout.splitlines()]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["jazz", "tr"], ["train"]),
        (["jazz", ""], sorted(tree.PROGRAMS["jazz"].commands)),
        (["jazz", "--choru"], ["--choruses"]),
        (["jazz", "--vers"], ["--version"]),
        (["jazz", "--chords", "C7", "--temper"], ["--temperature"]),
        (["piano", "train", "--network", "wave"], ["wavenet-simple", "wavenet"]),
        (["dinos", "--model", ""], ["file"]),
        (["dinos", "sample", "--model", ""], ["file"]),
        (["sonnets", "write", "--unknown", "s"], ["skip"]),
        (["numpyrnn", "gradcheck", ""], ["file"]),
        (["numpyrnn", "completion", ""], SHELLS),
    ],
)
def test_the_shell_is_told_how_a_word_can_go_on(words, found):
    assert completions(words[0], words) == found


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_registers_every_command_with_the_shell(shell):
    status, script, errors = tree.invoke("numpyrnn", ["completion", shell])
    assert (status, errors) == (0, "")
    registers = {"bash": "complete -o nosort -F {}", "zsh": "compdef {}", "fish": "complete .*{}.*"}[shell]
    for program in tree.PROGRAMS:
        assert re.search(registers.format(rf"_{program}_completion"), script)
        assert f"_{program.upper()}_COMPLETE={shell}_complete" in script.replace(" env ", " ")


@pytest.mark.skipif(not shutil.which("bash"), reason="there is no bash here")
def test_bash_takes_the_script(tmp_path):
    _, script, _ = tree.invoke("numpyrnn", ["completion", "bash"])
    (tmp_path / "script").write_text(script)
    line = 'eval "$(cat script)"; complete -p'
    ran = subprocess.run(["bash", "--norc", "-c", line], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert ran.stderr == ""
    assert {words.split()[-1] for words in ran.stdout.splitlines()} >= set(tree.PROGRAMS)


def test_another_shell_is_refused():
    status, _, errors = tree.invoke("numpyrnn", ["completion", "csh"])
    assert status == 2
    assert "'csh' is not one of 'bash', 'zsh', 'fish'" in errors
