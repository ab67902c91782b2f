"""Output files are reserved by a lock that ends with its process; what killed runs left behind is deleted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from music.outputs import write_together
from numpyrnn import NumpyrnnError
from numpyrnn.files import TakenError, atomic_write, reserved
from workbench.options import check_out, choose_out, output_path

HOLD = """
import os, signal, sys
from pathlib import Path
from numpyrnn.files import atomic_write, reserved
from numpyrnn.signals import leave
signal.signal(signal.SIGTERM, leave)
with reserved(Path(sys.argv[1]), new=True), atomic_write(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    os.write(1, b">")
    sys.stdin.read()
"""


@pytest.fixture(params=["held"])
def holder(tmp_path, request):
    """A process that has reserved `held`, or another name, in the folder, and is writing it."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / request.param)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[1])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, **pipes) as process:
        assert process.stdout.read(1) == b">"
        yield process
        process.kill()


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def write(path, data=b"new"):
    with atomic_write(path) as file:
        file.write(data)


def reserve_and(path, *actions, new=True):
    with reserved(path, new):
        for action in actions:
            action()


def test_what_a_living_run_has_reserved_is_refused_and_its_files_are_left(holder, tmp_path):
    before = names_in(tmp_path)
    assert len(before) == 2
    for new in (True, False):
        with pytest.raises(TakenError, match=r"/held is being written by another run$"):
            reserve_and(tmp_path / "held", new=new)
    reserve_and(tmp_path / "other", lambda: write(tmp_path / "other"))
    assert names_in(tmp_path) == sorted([*before, "other"])
    holder.communicate(b"")
    assert names_in(tmp_path) == ["held", "other"]
    assert (tmp_path / "held").read_bytes() == b"half"


def test_what_a_killed_run_left_is_deleted_by_the_next_in_the_folder_and_blocks_nothing(holder, tmp_path):
    holder.kill()
    holder.wait()
    assert len(names_in(tmp_path)) == 2
    for other in (
        ".numpyrnn-x-0123456789abcde",
        ".numpyrnn-x-0123456789abcdefg",
        "x-0123456789abcdef",
        ".x.0123456789abcdef",
    ):
        (tmp_path / other).write_bytes(b"somebody's")
    kept = names_in(tmp_path)
    reserve_and(tmp_path / "other")
    assert names_in(tmp_path) == sorted(name for name in kept if not name.startswith(".numpyrnn-held"))
    reserve_and(tmp_path / "held", lambda: write(tmp_path / "held"))
    assert (tmp_path / "held").read_bytes() == b"new"


def test_a_folder_or_a_pipe_with_the_name_of_a_temporary_file_is_left(tmp_path):
    (tmp_path / ".numpyrnn-a-0123456789abcdef").mkdir()
    reserve_and(tmp_path / "a")
    assert names_in(tmp_path) == [".numpyrnn-a-0123456789abcdef"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, OSError])
def test_a_reservation_ends_with_its_block(tmp_path, error):
    def fail():
        assert len(names_in(tmp_path)) == 1
        raise error

    with pytest.raises((error, NumpyrnnError)):
        reserve_and(tmp_path / "a", fail)
    assert names_in(tmp_path) == []
    reserve_and(tmp_path / "a")


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path):
    path = tmp_path / "a"
    with pytest.raises(TakenError, match="already exists: another program made it meanwhile"):
        reserve_and(path, lambda: path.write_bytes(b"theirs"), lambda: write(path))
    assert path.read_bytes() == b"theirs"
    assert names_in(tmp_path) == ["a"]
    with pytest.raises(TakenError, match="already exists"):
        reserve_and(path)
    reserve_and(path, lambda: write(path), new=False)
    assert path.read_bytes() == b"new"


def test_a_file_system_without_hard_links_will_do(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path)
    reserve_and(tmp_path / "b", lambda: write(tmp_path / "b"))
    assert (tmp_path / "b").read_bytes() == b"new"
    assert names_in(tmp_path) == ["a", "b"]


def test_a_file_system_without_locks_will_do_and_nothing_is_deleted_there(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    (tmp_path / ".numpyrnn-b-0123456789abcdef").write_bytes(b"perhaps a living run's")
    reserve_and(tmp_path / "b", lambda: write(tmp_path / "b"))
    assert names_in(tmp_path) == [".numpyrnn-b-0123456789abcdef", "b"]


def test_a_new_file_is_the_runs_own_once_it_is_written(tmp_path):
    path = tmp_path / "a"
    reserve_and(path, lambda: write(path, b"1"), lambda: write(path, b"2"))
    assert path.read_bytes() == b"2"


@pytest.mark.parametrize("theirs", [0, 1, 2])
def test_of_files_that_belong_together_none_is_written_if_one_has_appeared(tmp_path, theirs):
    paths = [tmp_path / name for name in "abc"]

    with reserved(paths[0], True), reserved(paths[1], True), reserved(paths[2], True):
        paths[theirs].write_bytes(b"theirs")
        with pytest.raises(TakenError):
            write_together(dict.fromkeys(paths, b"ours"))
    assert names_in(tmp_path) == ["abc"[theirs]]
    assert paths[theirs].read_bytes() == b"theirs"


def test_a_link_and_its_file_are_one_name(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(TakenError), reserved(tmp_path / "real", False):
        reserve_and(tmp_path / "link", new=False)
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    reserve_and(tmp_path / "dangling", lambda: write(tmp_path / "dangling"))
    assert (tmp_path / "nowhere").read_bytes() == b"new"


def test_a_default_name_is_the_first_whose_files_are_all_free(holder, tmp_path):
    def files_of(name):
        return [Path(f"{name}.{i}") for i in range(2)]

    folder = f"{tmp_path}/"
    assert choose_out(folder, Path("new"), files_of, False) == tmp_path / "new"
    (tmp_path / "new.1").write_bytes(b"theirs")
    assert choose_out(folder, Path("new"), files_of, False) == tmp_path / "new-2"
    assert choose_out(folder, Path("new"), files_of, True) == tmp_path / "new"
    assert choose_out(folder, Path("held"), lambda name: [name], True) == tmp_path / "held-2"
    with pytest.raises(NumpyrnnError, match=r"new\.1 already exists: name another with --out, or .* --force"):
        choose_out(f"{tmp_path}/new", Path("x"), files_of, False)
    with pytest.raises(NumpyrnnError, match="held is being written by another run"):
        choose_out(f"{tmp_path}/held", Path("x"), lambda name: [name], True)
    assert choose_out(f"{tmp_path}/nowhere/", Path("x"), files_of, False) == tmp_path / "nowhere/x"
    with pytest.raises(
        NumpyrnnError, match=r"new\.1/x must be in a folder that exists or can be made, .*new\.1 is not a"
    ):
        choose_out(f"{tmp_path}/new.1/x", Path("x"), lambda name: [name], False)


def test_a_refused_reservation_does_not_end_the_first(tmp_path):
    path = tmp_path / "a"
    with reserved(path, True):
        with pytest.raises(TakenError):
            reserve_and(path)
        path.write_bytes(b"theirs")
        with pytest.raises(TakenError):
            write(path)
    assert path.read_bytes() == b"theirs"


def test_outside_of_a_command_nothing_stays_reserved(tmp_path):
    for _ in range(2):
        check_out(tmp_path / "a", False)
    assert names_in(tmp_path) == []


def test_an_error_while_a_file_is_reserved_is_not_said_to_be_of_this_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="other"), reserved(tmp_path / "a", new=True):
        (tmp_path / "other").read_bytes()
    assert names_in(tmp_path) == []


# new folders


def test_a_reservation_makes_the_folders_that_are_missing_and_deletes_them_if_nothing_is_written(tmp_path):
    path = tmp_path / "a/b/c/x"
    reserve_and(path, lambda: write(path))
    assert path.read_bytes() == b"new"
    assert names_in(tmp_path / "a/b/c") == ["x"]
    (tmp_path / "mine").mkdir()
    for other in (tmp_path / "mine/d/e/x", tmp_path / "a/b/f/x", tmp_path / "g/x"):
        reserve_and(other)
        assert not other.parent.exists()
    assert names_in(tmp_path) == ["a", "mine"]
    assert names_in(tmp_path / "a/b") == ["c"]
    assert names_in(tmp_path / "mine") == []


def test_a_folder_of_more_levels_than_python_may_call_itself_is_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = Path("a/" * 1100 + "x")
    reserve_and(path, lambda: write(path))
    assert path.read_bytes() == b"new"
    path.unlink()
    while path != Path("a"):  # pytest could not delete so many levels
        path = path.parent
        path.rmdir()


@pytest.mark.parametrize("first_writes", [True, False])
@pytest.mark.parametrize("second_writes", [True, False])
def test_a_new_folder_stays_while_another_run_needs_it(tmp_path, first_writes, second_writes):
    first, second = tmp_path / "new/1", tmp_path / "new/2"
    with reserved(second, True) if second_writes else reserved(first, True):
        reserve_and(first if second_writes else second, *[lambda: write(first)] * (first_writes and second_writes))
        assert (tmp_path / "new").is_dir()
        if second_writes:
            write(second)
    expected = [*["1"] * (first_writes and second_writes), *["2"] * second_writes]
    assert (names_in(tmp_path / "new") if expected else names_in(tmp_path)) == expected


@pytest.mark.parametrize("holder", ["new/folder/held"], indirect=True)
def test_an_interrupted_run_leaves_no_new_folder(holder, tmp_path):
    assert len(names_in(tmp_path / "new/folder")) == 2
    holder.terminate()
    assert holder.wait() == 128 + 15
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("holder", ["new/folder/held"], indirect=True)
def test_an_interrupted_run_leaves_the_files_of_others_in_its_new_folder(holder, tmp_path):
    (tmp_path / "new/theirs").write_bytes(b"theirs")
    holder.terminate()
    holder.wait()
    assert names_in(tmp_path) == ["new"]
    assert names_in(tmp_path / "new") == ["theirs"]


def test_runs_that_make_one_new_folder_at_once_all_succeed(tmp_path):
    """Half of them write nothing, and so try to delete the folder that the others need."""
    script = """
import sys
from pathlib import Path
from numpyrnn.files import atomic_write, reserved
for i in range(100):
    path = Path(sys.argv[1], "new", "folder", f"{sys.argv[2]}-{i}")
    with reserved(path, True):
        if i % 2:
            with atomic_write(path) as file:
                file.write(b"ours")
    path.unlink(missing_ok=True)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    environment |= {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", script, str(tmp_path)]
    runs = [subprocess.Popen([*command, str(i)], env=environment, stderr=subprocess.PIPE) for i in range(3)]
    assert [run.communicate()[1] for run in runs] == [b""] * 3


def test_a_new_folder_that_another_run_deletes_at_its_end_is_made_again(tmp_path, monkeypatch):
    from numpyrnn.files import _locked

    calls = []

    def locked(path, mode):
        calls.append(path)
        if len(calls) < 4:
            path.parent.rmdir()
        return _locked(path, mode)

    monkeypatch.setattr("numpyrnn.files._locked", locked)
    reserve_and(tmp_path / "new/x", lambda: write(tmp_path / "new/x"))
    assert (tmp_path / "new/x").read_bytes() == b"new"
    monkeypatch.setattr("numpyrnn.files._locked", lambda path, mode: path.parent.rmdir() or _locked(path, mode))
    with pytest.raises(NumpyrnnError, match=r"other/x cannot be written: No such file or directory$"):
        reserve_and(tmp_path / "other/x")
    assert names_in(tmp_path) == ["new"]


def test_a_folder_that_another_run_makes_in_the_same_moment_is_used(tmp_path, monkeypatch):
    mkdir = Path.mkdir
    monkeypatch.setattr(Path, "mkdir", lambda path: (mkdir(path), mkdir(path)))
    reserve_and(tmp_path / "new/x", lambda: write(tmp_path / "new/x"))
    assert names_in(tmp_path / "new") == ["x"]


def test_a_folder_that_may_not_be_made_is_one_error(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(NumpyrnnError, match=r"new/x cannot be written: Permission denied$"):
        check_out(tmp_path / "new/x", False)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("name", ["file/x", "file/new/x", "dangling/x"])
def test_a_file_where_a_folder_should_be_is_one_error(tmp_path, name):
    (tmp_path / "file").write_bytes(b"mine")
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(NumpyrnnError, match=r"x must be in a folder that exists or can be made, .* is not a folder$"):
        check_out(tmp_path / name, False)
    assert names_in(tmp_path) == ["dangling", "file"]


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        (None, "usual/x.npz"),
        ("a.npz", "a.npz"),
        ("a/b.npz", "a/b.npz"),
        ("a/", "a/x.npz"),
        ("a/b//", "a/b/x.npz"),
        ("a/.", "a/x.npz"),
        ("/", "/"),
        (".", "."),
    ],
)
def test_a_folder_means_the_usual_name_in_it(out, expected):
    assert output_path(out, Path("usual/x.npz")) == Path(expected)
