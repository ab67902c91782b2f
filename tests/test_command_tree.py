"""Every command of every program ends well, whatever its options are: with a result, or with one error line."""

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import click
import command_tree as tree
import pytest

from numpyrnn import load

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
    cases = Random(0).sample(cases, min(rounds(80, 5_000), len(cases)))
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
            shown = tree.help_of(program, name, 1000)
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


# one word, one meaning

OWN_WORDS = {  # options that mean something of their own in some commands
    "--chords": {"jazz train": "parts", "jazz doctor": "parts"},
    "--data": {"sonnets evaluate": "what a model file lacks"},
    "--epochs": {"jazz course": "without held-out data", "piano compare": "of each network"},
    "--form": {"jazz improvise": "lists them all", "jazz chart": "instead of a file"},
    "--length": {"sonnets write": "characters", "piano play": "tokens"},
    "--meter": {"jazz train": "of solos"},
    "--model": {"piano train": "the old word for --network, hidden"},
    "--primer": {"jazz improvise": "two bars", "piano play": "a window"},
    "--recipe": {"jazz train": "of values", "sonnets train": "of texts"},
    "--samples": {
        "dinos evaluate": "names",
        "jazz evaluate": "solos",
        "sonnets evaluate": "characters",
        "piano evaluate": "tokens",
    },
    "--seed": {"numpyrnn gradcheck": "not of a training"},
    "--straight": {"jazz improvise": "of the band, too"},
    "--style": {"jazz train": "of solos"},
    "--tempo": {"jazz train": "a range"},
    "--transpose": {"jazz improvise": "the lead sheet"},
}
SAMPLING = {"--temperature", "--top-k", "--top-p", "--seed", "--model"}
OPTIONS = [
    (f"{program} {name}", parameter)
    for program, name, parameter in PARAMETERS
    if parameter.param_type_name == "option"
    and parameter.opts[-1] != "--out"  # each command writes its own files
    and name != "sweep"  # which takes lists of values
]


def meaning(option):
    """Type, kind and help of an option; without its default, and whether it may be repeated."""
    words = option.help.partition("  [default")[0].removesuffix("; can be repeated.").rstrip(".")
    ends = [getattr(option.type, name, None) for name in ("min", "max", "min_open", "choices", "type")]
    return words, type(option.type).__name__, *map(str, ends), option.is_flag, *option.opts


def test_an_option_means_the_same_in_every_command():
    meanings = {}
    for command, option in OPTIONS:
        name = option.opts[-1]
        if command not in OWN_WORDS.get(name, {}):
            meanings.setdefault(name, {})[command] = meaning(option)
    assert {name: found for name, found in meanings.items() if len(set(found.values())) > 1} == {}
    known = {(option.opts[-1], command) for command, option in OPTIONS}
    assert not [(name, command) for name, own in OWN_WORDS.items() for command in own if (name, command) not in known]


def test_an_option_with_words_of_its_own_really_differs():
    shared = {
        (option.opts[-1], meaning(option)) for c, option in OPTIONS if c not in OWN_WORDS.get(option.opts[-1], {})
    }
    own = [(o.opts[-1], meaning(o)) for command, o in OPTIONS if command in OWN_WORDS.get(o.opts[-1], {})]
    assert not [one for one in own if one in shared]


def test_what_samples_has_all_options_of_sampling(folder):
    given = {}
    for command, option in OPTIONS:
        given.setdefault(command, set()).add(option.opts[-1])
    for program in tree.DATA:
        usual = tree.PROGRAMS[program].commands["sample" if program == "dinos" else "evaluate"].name
        assert given[f"{program} {usual}"] >= SAMPLING
    for command, options in given.items():
        if options & {"--temperature", "--top-k", "--top-p"}:
            assert options >= SAMPLING, command


@pytest.mark.slow
@pytest.mark.parametrize("name", ["improvise", "sample", "write", "play", "evaluate"])
def test_a_tiny_top_p_leaves_the_most_probable_as_a_top_k_of_1_does(folder, name):
    for program, app in tree.PROGRAMS.items():
        if name not in app.commands:
            continue
        results = []
        for option in ("--top-k=1", "--top-p=1e-9", "--top-p=1"):
            words = tree.arguments(name, app.commands[name], tree.usual(program, app.commands[name]) | {"seed": 1})
            before = tree.files_in(folder)
            status, printed, errors = tree.invoke(program, [*words, option])
            added = [path for path in tree.files_in(folder) if path not in before]
            files = [path.read_bytes() for path in added if path.suffix in (".mid", ".wav")]
            tree.remove(added)
            assert status == 0, errors
            results.append((printed, files))
        assert results[0] == results[1]
        assert results[0] != results[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("dinos", "sample -n 3"),
        ("jazz", "improvise --chords C7|F7 --choruses 4 --no-lead-sheet"),
        ("sonnets", "write shall"),
        ("piano", "play --length 20 --primer piece.mid"),
    ],
)
def test_at_temperature_0_every_seed_gives_the_same(folder, program, words):
    results, before = [], tree.files_in(folder)
    for how in ("--temperature 0 --seed 1", "--temperature 0 --seed 2", "--seed 1"):
        status, printed, _ = tree.invoke(program, [*words.split(), *how.split()])
        assert status == 0
        added = [path for path in tree.files_in(folder) if path not in before]
        results.append((printed.partition(" Seed ")[0], [path.read_bytes() for path in added]))
        tree.remove(added)
    assert results[0] == results[1]
    assert results[0] != results[2]


def test_a_model_is_a_file_wherever_it_is_shown():
    models = [(command, option) for command, option in OPTIONS if option.opts[-1] == "--model"]
    assert len(models) > 8
    assert [command for command, option in models if not tree.is_path(option)] == ["piano train"]
    assert [command for command, option in models if option.hidden] == ["piano train"]


@pytest.mark.parametrize(
    ("program", "command", "words"),
    [
        ("dinos", "sample", "-n 3"),
        ("dinos", "sample", "-n3 --top-p 0.5"),
        ("jazz", "improvise", "--chords C7 --no-lead-sheet --force"),
        ("sonnets", "write", "--length 9 --top-p 0.5"),
        ("piano", "play", "--length 3 --force"),
    ],
)
def test_the_options_of_the_usual_command_need_no_command(folder, program, command, words):
    words, before = [*words.split(), "--seed", "1"], tree.files_in(folder)
    with_it, without = tree.invoke(program, [command, *words]), tree.invoke(program, words)
    tree.remove([path for path in tree.files_in(folder) if path not in before])
    assert with_it[0] == 0
    assert with_it == without
    assert f"  {command} " in tree.invoke(program, ["--help"])[1]


WRITERS = [(program, name) for program, name, parameter in PARAMETERS if parameter.opts[-1] == "--out"]


@pytest.mark.slow
@pytest.mark.parametrize(("program", "name"), [writer for writer in WRITERS if writer != ("jazz", "course")])
@pytest.mark.parametrize("out", ["new/folder/", "new/folder/."])
def test_a_new_folder_is_made_and_the_usual_names_are_used_in_it(folder, program, name, out):
    command, before = tree.PROGRAMS[program].commands[name], set(tree.files_in(folder))
    chosen = tree.usual(program, command) | {"out": out} | ({"window": 8, "min_count": 1} if program == "piano" else {})
    chosen = {key: value for key, value in chosen.items() if key in {p.name for p in command.params}}
    status, printed, errors = tree.invoke(program, tree.arguments(name, command, chosen))
    added = [path for path in tree.files_in(folder) if path not in before]
    tree.remove(added)
    assert status == 0, errors
    assert folder / "new/folder" in added
    assert len(added) > 2
    assert all(folder / "new" in (path, *path.parents) for path in added)
    assert name == "write" or "new/folder" in printed


def test_a_refused_command_leaves_no_new_folder(folder):
    before, refused = tree.files_in(folder), 0
    for program, name in WRITERS:
        command = tree.PROGRAMS[program].commands[name]
        chosen = tree.usual(program, command) | {"out": "new/folder/x.wav" if name == "listen" else "new/folder/x"}
        for p in command.params:
            if tree.is_path(p) and p.name in ("plain_data", "data", "file", "model", "texts", "midi"):
                status, _, errors = tree.invoke(program, tree.arguments(name, command, chosen | {p.name: "missing"}))
                assert status in (1, 2)
                assert "missing" in errors
                assert tree.files_in(folder) == before
                refused += 1
    assert refused > len(WRITERS)


@pytest.mark.parametrize("model", ["lstm", "wavenet"])
def test_the_old_word_for_a_network_still_works_and_the_new_one_is_said(folder, model):
    command, before = tree.PROGRAMS["piano"].commands["train"], tree.files_in(folder)
    words = tree.arguments("train", command, tree.usual("piano", command) | {"out": "net/", "seed": 1})
    results = {}
    for option in ("--network", "--model"):
        status, printed, errors = tree.invoke("piano", [words[0], option, model, *words[1:]])
        results[option] = printed, errors, load(folder / "net/piano.npz").model.params.flat.tobytes()
        tree.remove([path for path in tree.files_in(folder) if path not in before])
        assert status == 0
    assert results["--network"][0] == results["--model"][0]
    assert results["--network"][2] == results["--model"][2]
    assert f"--model {model} is now called --network {model}.\n" in results["--model"][1]
    assert "now called" not in results["--network"][1]
    assert "--model" not in tree.invoke("piano", ["train", "--help"])[1]


@pytest.mark.parametrize("words", ["--model missing.npz", "--model piano-model.npz", "--network lstm --model wavenet"])
def test_a_training_is_given_no_model_file_under_the_old_word(folder, words):
    status, _, errors = tree.invoke("piano", ["train", "piece.mid", *words.split()])
    assert status == 2
    assert errors.endswith("--model is a file, which train takes as --resume; --network chooses the network\n")
