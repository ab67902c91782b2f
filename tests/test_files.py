"""Files are written whole or not at all, and read with one clear error."""

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest

from music.outputs import write_together
from numpyrnn import NumpyrnnError
from numpyrnn.files import atomic_write, reserved
from workbench import files
from workbench.files import data_path, make_folder, read_text, text_pieces


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def write(path, data=b"new"):
    with atomic_write(path) as file:
        file.write(data)


# writing


def test_a_new_file_holds_what_was_written(tmp_path):
    write(tmp_path / "a.bin", bytes(range(256)))
    assert (tmp_path / "a.bin").read_bytes() == bytes(range(256))
    assert names_in(tmp_path) == ["a.bin"]


def test_an_old_file_is_replaced(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"old and longer")
    write(tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == b"new"
    assert names_in(tmp_path) == ["a.bin"]


def test_the_old_file_is_there_until_the_block_ends(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"old")
    with atomic_write(tmp_path / "a.bin") as file:
        file.write(b"new")
        file.flush()
        assert (tmp_path / "a.bin").read_bytes() == b"old"


def test_a_path_may_be_a_string_and_relative(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("a.bin")
    assert (tmp_path / "a.bin").read_bytes() == b"new"


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path):
    write(tmp_path / "a.bin")
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "a.bin").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o400])
def test_a_file_that_is_replaced_keeps_its_permissions_also_while_it_is_written(tmp_path, mode):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    path.chmod(mode)
    with atomic_write(path) as file:
        assert os.fstat(file.fileno()).st_mode & 0o777 == mode
        file.write(b"new")
    assert (path.stat().st_mode & 0o777, path.read_bytes()) == (mode, b"new")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_in_the_block_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail():
        with atomic_write(path) as file:
            file.write(b"half of it")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["a.bin"]


@pytest.mark.parametrize(("where", "step"), [(os, "fsync"), (Path, "replace")])
def test_a_full_disk_is_one_error_and_leaves_the_old_file(tmp_path, monkeypatch, where, step):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(where, step, fail)
    with pytest.raises(NumpyrnnError) as caught:
        write(path)
    assert str(caught.value) == f"{path} could not be written: No space left on device"
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["a.bin"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(NumpyrnnError, match=r"a\.bin could not be written: No such file or directory"):
        write(tmp_path / "nowhere" / "a.bin")
    assert names_in(tmp_path) == []


def test_a_folder_that_is_a_file_is_an_error(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    with pytest.raises(NumpyrnnError, match=r"a\.bin could not be written: Not a directory"):
        write(tmp_path / "file" / "a.bin")
    assert (tmp_path / "file").read_bytes() == b"old"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_an_error(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(NumpyrnnError, match=r"a\.bin could not be written: Permission denied"):
            write(tmp_path / "a.bin")
    finally:
        tmp_path.chmod(0o700)
    assert names_in(tmp_path) == []


def test_permission_denied_is_an_error(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(NumpyrnnError, match=r"a\.bin could not be written: Permission denied"):
        write(tmp_path / "a.bin")


def test_a_folder_is_not_written_to(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(NumpyrnnError, match="folder must be a file to write, it is a folder"):
        write(tmp_path / "folder")
    assert names_in(tmp_path) == ["folder"]
    assert names_in(tmp_path / "folder") == []


# reading


@pytest.mark.parametrize("text", ["", "a\nb\n", "a\r\nb", "北京 😀\n", "é\N{COMBINING ACUTE ACCENT}"])
def test_text_comes_as_it_is_in_the_file(tmp_path, text):
    (tmp_path / "a.txt").write_bytes(text.encode())
    assert read_text(tmp_path / "a.txt") == text
    assert read_text(str(tmp_path / "a.txt")) == text


def test_a_byte_order_mark_is_dropped_once(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf" + "a\N{ZERO WIDTH NO-BREAK SPACE}b".encode())
    assert read_text(tmp_path / "a.txt") == "a\N{ZERO WIDTH NO-BREAK SPACE}b"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"ab\xff\xfe", "must be UTF-8 text, byte 2 is not"),
        ("é".encode("latin-1"), "must be UTF-8 text, byte 0 is not"),
        ("é".encode()[:1], "must be UTF-8 text, byte 0 is not"),
        ("abc".encode("utf-16-le"), "must be UTF-8 text, it holds a zero byte"),
        (b"abc\0def", "must be UTF-8 text, it holds a zero byte"),
    ],
)
def test_what_is_not_text_is_an_error(tmp_path, data, message):
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    with pytest.raises(NumpyrnnError) as caught:
        read_text(path)
    assert str(caught.value) == f"{path} {message}"


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_pieces_are_whole_lines(tmp_path, monkeypatch, mark):
    monkeypatch.setattr(files, "PIECE", 8)
    (tmp_path / "a.txt").write_bytes(mark + "ab\r\n北京\r\n\ufefflong, long line\n\nend".encode())
    pieces = list(text_pieces(tmp_path / "a.txt"))
    assert "".join(pieces) == read_text(tmp_path / "a.txt") == "ab\r\n北京\r\n\ufefflong, long line\n\nend"
    assert len(pieces) > 2
    assert all(piece.endswith("\n") for piece in pieces[:-1])


def test_a_wrong_byte_is_counted_from_the_start_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "PIECE", 2)
    (tmp_path / "a.txt").write_bytes(b"ab\ncd\nef\xff\n")
    with pytest.raises(NumpyrnnError, match="must be UTF-8 text, byte 8 is not"):
        read_text(tmp_path / "a.txt")


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(NumpyrnnError, match=r"a\.txt could not be read: No such file or directory"):
        read_text(tmp_path / "a.txt")


def test_a_folder_is_not_a_text(tmp_path):
    with pytest.raises(NumpyrnnError, match="must be a text file, it is a folder"):
        read_text(tmp_path)


def test_a_huge_file_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "MAX_TEXT_BYTES", 9)
    (tmp_path / "a.txt").write_bytes(b"123456789")
    assert read_text(tmp_path / "a.txt") == "123456789"
    (tmp_path / "a.txt").write_bytes(b"1234567890")
    with pytest.raises(NumpyrnnError, match="must have at most 9 bytes, it has more"):
        read_text(tmp_path / "a.txt")


def test_a_vast_file_is_refused_before_it_is_read(tmp_path):
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(5 << 30)  # sparse
    with pytest.raises(NumpyrnnError, match="must have at most 1073741824 bytes, it has more"):
        read_text(tmp_path / "a.txt")
    with (tmp_path / "a.txt").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(NumpyrnnError, match="must be UTF-8 text, it holds a zero byte"):
        read_text(tmp_path / "a.txt")


def test_a_text_may_be_bounded_more_narrowly(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"1234567890")
    assert read_text(tmp_path / "a.txt", 10) == "1234567890"
    with pytest.raises(NumpyrnnError, match="must have at most 9 bytes, it has more"):
        read_text(tmp_path / "a.txt", 9)


@pytest.mark.parametrize("path", ["", "a\0b", None, 3, True, [], b"a.txt"], ids=repr)
def test_what_is_no_path_is_one_clear_error(path):
    with pytest.raises(NumpyrnnError, match="a path must be text, not empty and without a zero byte, got "):
        read_text(path)


def test_a_shipped_file_is_found_wherever_one_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert data_path("dinos.txt").is_file()


def test_a_file_that_is_not_shipped_is_named():
    with pytest.raises(NumpyrnnError, match=r"the shipped file unicorns\.txt must be in the data folder, it is not"):
        data_path("unicorns.txt")


def test_a_folder_is_made_with_those_above_it_and_may_be_there(tmp_path):
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
        assert (tmp_path / "a" / "b").is_dir()


def test_a_folder_that_cannot_be_made_is_one_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / "file", tmp_path / "file" / "a"):
        with pytest.raises(NumpyrnnError, match=r"the folder of .* could not be made"):
            make_folder(path)


def test_a_link_stays_one_and_its_file_gets_what_was_written(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "a")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_bytes() == b"new"
    assert names_in(tmp_path / "real") == ["a"]


def test_a_pipe_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NumpyrnnError, match="must be a plain file to write, it is a device or a pipe"):
        write(tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


def test_files_that_belong_together_are_all_written_or_none(tmp_path):
    write_together({tmp_path / "a": b"1", tmp_path / "b": b"2"})
    assert [(tmp_path / name).read_bytes() for name in "ab"] == [b"1", b"2"]
    (tmp_path / "c").mkdir()
    with pytest.raises(NumpyrnnError, match="it is a folder"):
        write_together({tmp_path / "a": b"3", tmp_path / "c": b"4"})
    assert (tmp_path / "a").read_bytes() == b"1"
    assert names_in(tmp_path) == ["a", "b", "c"]


def test_what_killed_runs_left_is_deleted_and_nothing_else_is(tmp_path):
    left = tmp_path / ".numpyrnn-a.npz-0123456789abcdef"
    own = [tmp_path / name for name in (".notes.0123456789abcdef", ".numpyrnn-piano.json", ".numpyrnn-notes")]
    for path in (left, *own):
        path.write_text("x")
    with reserved(tmp_path / "b.npz", new=True):
        assert not left.exists()
    assert sorted(tmp_path.iterdir()) == sorted(own)


@pytest.mark.parametrize("link", [Path.symlink_to, Path.hardlink_to])
@pytest.mark.parametrize("ending", ["0" * 16, "0123456789abcdef"])
def test_a_link_with_the_name_of_a_hidden_file_harms_no_other_file(tmp_path, link, ending):
    precious = tmp_path / "precious"
    precious.write_bytes(b"data")
    link(tmp_path / f".numpyrnn-a-{ending}", precious)
    with suppress(NumpyrnnError), reserved(tmp_path / "a", new=True):
        write(tmp_path / "a")
    assert precious.read_bytes() == b"data"


def test_a_link_with_the_name_of_a_reservation_is_named_in_the_error(tmp_path):
    link = tmp_path / f".numpyrnn-a-{'0' * 16}"
    link.symlink_to("b")
    with pytest.raises(NumpyrnnError, match=f"^{link} must not exist, somebody has put a link there: delete it$"):
        reserved(tmp_path / "a", new=True).__enter__()
    assert names_in(tmp_path) == [link.name]


def test_pipes_links_and_files_of_other_users_with_such_names_are_left(tmp_path, monkeypatch):
    pipe, link, theirs = (tmp_path / f".numpyrnn-{name}-0123456789abcdef" for name in "abc")
    os.mkfifo(pipe)
    link.symlink_to(tmp_path / "x")
    with reserved(tmp_path / "b.npz", new=True):
        assert names_in(tmp_path) == [pipe.name, link.name, ".numpyrnn-b.npz-0000000000000000"]
    theirs.write_bytes(b"")
    uid = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    with reserved(tmp_path / "b.npz", new=True):
        assert theirs.exists()


def test_where_a_file_has_no_count_of_links_it_is_written(tmp_path, monkeypatch):
    fstat = os.fstat
    monkeypatch.setattr(os, "fstat", lambda number: os.stat_result([*fstat(number)[:3], 0, *fstat(number)[4:]]))
    tries = iter([None] * 3)  # ends what would be an endless loop
    monkeypatch.setattr("numpyrnn.files._lock", lambda file: next(tries))
    write(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"new"
