"""Walks the command lines of all programs: every command with every option, and odd values for them."""

import io
import os
import shutil
import signal
import socket
import sys
import time
import traceback
import unicodedata
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from random import Random

import click

import dinos.cli
import jazz.cli
import numpyrnn.cli
import piano.cli
import sonnets.cli
from numpyrnn.cli import run
from workbench.files import data_path

PROGRAMS = {
    "numpyrnn": numpyrnn.cli.app,
    "dinos": dinos.cli.app,
    "jazz": jazz.cli.app,
    "sonnets": sonnets.cli.app,
    "piano": piano.cli.app,
}
DATA = {"dinos": "names.txt", "jazz": "chorus.txt", "sonnets": "text.txt", "piano": "piece.mid"}
# Small values for options that have one of these names, so that a command takes little time.
QUICK = {"n": 2, "samples": 2, "length": 3, "iterations": 3, "epochs": 1, "hidden": 4, "window": 8, "bars": 1}
QUICK |= {"solos": 2, "min_count": 1, "chords": "C7 | F7", "no_lead_sheet": True, "recipe": "streams"}
QUICK |= {"name": "saurus", "text": "shall i"}
SECONDS = 10  # of one core, in which a command must end
LIMIT = 60  # seconds, after which a command counts as hanging
LONGEST_LINE = 800  # characters of an error: a sentence, and 200 characters of each of two or three inputs

VALUES = [
    *("0", "1", "-1", "1.5", "0x10", "\u0661", "\u00bd", "--", "-", "nan", "inf", "-inf", "1e308", "1e-308", "1e999"),
    *(str(10**30), str(-(10**30)), str(2**63), "9" * 5000, "x " * 500_000, "y" * 1_000_000, "a" * 300, "", " ", "\0"),
    *("a\nb", "a\r\nb", "\x1b[2J", "\x9b31m", "\u202eabc", "\u2028", "\x7f", "e\u0301", "\N{SAUROPOD}", "\udcff"),
    *("C\u03947", "@", "@pipe", "@.", "%s", "{}", "|:", ":| x9999999999", "opening", "0/4", "missing", "missing/file"),
    *(".", "folder/", "pipe", "socket", "vast.bin", "/dev/zero", "/dev/full", "/proc/self/mem", "names.txt", "empty"),
    *("dinos-model.npz", "piece.mid", "bad.npz"),
]


def make_folder(folder):
    """Fill a folder with data for every program, a tiny model of each, and files that are none."""
    names = data_path("dinos.txt").read_text().split()[::50]
    (folder / "names.txt").write_text("\n".join(names))
    (folder / "text.txt").write_text(data_path("sonnets.txt").read_text()[:2000])
    shutil.copy(sorted(data_path("choruses").glob("*.txt"))[0], folder / "chorus.txt")
    shutil.copy(data_path("piano/satie-gymnopedie-no1.mid"), folder / "piece.mid")
    (folder / "folder").mkdir()
    (folder / "empty").touch()
    (folder / "bad.npz").write_bytes(bytes(1000))
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    with (folder / "vast.bin").open("wb") as file:
        file.truncate(5 << 30)  # sparse
    for program in DATA:
        chosen = usual(program, PROGRAMS[program].commands["train"]) | {"out": f"{program}-model.npz"}
        status, _, errors = invoke(program, arguments("train", PROGRAMS[program].commands["train"], chosen))
        assert status == 0, errors


def usual(program, command):
    """Values for the parameters of a command with which it does little: dict from the parameter's name to its value."""
    names = {p.name for p in command.params}
    chosen = {p.name: QUICK[p.name] for p in command.params if p.name in QUICK and accepts(p, QUICK[p.name])}
    if names & {"plain_data", "file"}:
        chosen.pop("chords", None)  # the name of a part
    if (program, command.name) == ("jazz", "sweep"):
        chosen.pop("recipe", None)  # a list, whose values are those of another program
    for p in command.params:
        if is_path(p) and p.name == "model" and p.param_type_name == "option":
            chosen[p.name] = f"{program}-model.npz"
        elif is_path(p) and (p.required or p.name in ("plain_data", "file", "texts")):
            chosen[p.name] = DATA.get(program, "dinos-model.npz")
        elif p.name == "out" and command.name == "train":
            chosen[p.name] = "new.npz"
    return chosen


def help_of(program, name, columns):
    """The help of a command, or of the program if `name` is None, in a terminal of this width."""
    app = PROGRAMS[program]
    command = app if name is None else app.commands[name]
    settings = app.context_settings  # click keeps the names of the help option that it is given first
    return command.get_help(click.Context(command, info_name=name, terminal_width=columns, **settings))


def is_path(parameter):
    return isinstance(parameter.type, click.Path)


def accepts(parameter, value):
    """Whether a parameter takes a value, by its type alone."""
    try:
        parameter.type.convert(value, parameter, None)
    except click.BadParameter:
        return False
    return True


def arguments(name, command, chosen):
    """The words of a command line that give parameters these values."""
    words, plain = [name], []
    for p in command.params:
        if p.name not in chosen:
            continue
        value = chosen[p.name]
        if p.param_type_name == "argument":
            plain.append(str(value))
        elif value is True and p.is_flag:
            words.append(p.opts[-1])
        else:
            words.append(f"{p.opts[-1]}={value}" if p.opts[-1].startswith("--") else f"{p.opts[-1]}{value}")
    return [*words, *(["--", *plain] if plain else [])]


def cases(pairs=0):
    """List (program, words) for every value of every parameter, and for `pairs` random values of two parameters."""
    listed = []
    commands = [(program, *item) for program, app in PROGRAMS.items() for item in app.commands.items()]
    for program, app in PROGRAMS.items():
        listed += [(program, [value, *more]) for value in VALUES for more in ([], ["--help"])]
        listed += [(program, []), (program, ["--help"])] if "default" in str(type(app)) else [(program, ["--help"])]
    for program, name, command in commands:
        for p in command.params:
            for value in [True] if getattr(p, "is_flag", False) else VALUES:
                listed.append((program, arguments(name, command, usual(program, command) | {p.name: value})))
    rng = Random(0)
    for _ in range(pairs):
        program, name, command = rng.choice(commands)
        chosen = {p.name: rng.choice(VALUES) for p in rng.sample(command.params, min(2, len(command.params)))}
        listed.append((program, arguments(name, command, usual(program, command) | chosen)))
    return listed


def invoke(program, words):
    """Run a command line in this process: its exit status, and what it wrote to standard output and error."""
    streams = [io.TextIOWrapper(io.BytesIO(), "utf-8", newline="") for _ in range(2)]
    before, sys.argv = sys.argv, [program, *words]
    try:
        with redirect_stdout(streams[0]), redirect_stderr(streams[1]), limited():
            run(PROGRAMS[program])
    except SystemExit as left:
        status = left.code
    finally:
        sys.argv = before
    return status, *(stream.detach().getvalue().decode() for stream in map(flushed, streams))


def flushed(stream):
    stream.flush()
    return stream


@contextmanager
def limited():
    """Raise TimeoutError in a block that hangs."""

    def hanging(*_):
        raise TimeoutError(f"not ended after {LIMIT} s")

    before = signal.signal(signal.SIGALRM, hanging)
    signal.alarm(LIMIT)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fault(program, words, folder):
    """What is wrong with how a command ends, or None. The folder is then as before."""
    old, start = files_in(folder.parent), time.process_time()
    try:
        status, printed, errors = invoke(program, words)
    except BaseException as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        found = f"{type(error).__name__}: {error!s:.200} ({Path(where.filename).name}, line {where.lineno})"
    else:
        found = fault_of(status, printed, errors)
    seconds, new = time.process_time() - start, files_in(folder.parent)
    added = [path for path in new if path not in old]
    remove(added)
    if found is None and seconds > SECONDS:
        found = f"it took {seconds:.1f} s"
    if found is None and status and added:
        found = f"it failed and left {added}"
    if found is None and {path: new.get(path) for path in old} != old:
        found = f"it changed {[path for path in old if new.get(path) != old[path]]}"
    if found is None and any(folder not in path.parents for path in added):
        found = f"it wrote outside its folder: {added}"
    return found


def faults(listed, folder):
    """Yield (program, words, what is wrong) for each of the cases that does not end well."""
    for program, words in listed:
        if found := fault(program, words, folder):
            yield program, words, found


def remove(paths):
    """Remove files and folders, given in sorted order."""
    for path in reversed(paths):
        path.rmdir() if path.is_dir() else path.unlink()


def files_in(folder):
    """Dict from each path in a folder, at any depth, to its kind, size and time."""
    found = sorted(folder.rglob("*"))
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else path.is_dir() for path in found}


def fault_of(status, printed, errors):
    """What is wrong with an exit status and with what was written, or None."""
    if status not in (0, 1, 2):
        return f"status {status}"
    odd = {c for c in printed + errors.replace("\r", "") if c not in "\n\t" and is_control(c)}
    if odd:
        return f"control characters on the screen: {odd}"
    lines = [line for line in errors.split("\n")[:-1] if not line.startswith("Left out: ")]
    lines = [line.rpartition("\r")[2] for line in lines if "%|" not in line]  # without progress bars
    if status == 0:
        return f"an error with status 0: {errors:.200}" if any(line.startswith("Error: ") for line in lines) else None
    usage = lines[:-1]
    if not lines or not lines[-1].startswith("Error: ") or len(lines[-1]) > LONGEST_LINE:
        return f"no error line, or a long one: {errors[-1000:]!r}"
    if status == 1 and any(line for line in usage if line):
        return f"more than one line: {errors[-1000:]!r}"
    if status == 2 and usage and (not usage[0].startswith("Usage: ") or any("Error" in line for line in usage)):
        return f"other than usage lines before the error: {errors[-1000:]!r}"
    return None


def is_control(character):
    """Whether a character moves the cursor, ends a line or changes the direction of writing."""
    bidi = unicodedata.bidirectional(character) in ("LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI")
    return bidi or unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs")
