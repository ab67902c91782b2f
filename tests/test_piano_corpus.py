"""Files become pieces: which ones count, what is refused, the cache, several processes, and the split."""

import hashlib
import json
import os
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music.midi import Midi, Note, midi_bytes, read_midi
from numpyrnn import NumpyrnnError
from piano import corpus
from piano.corpus import CACHE_HEADER, Piece, default_cache, read_pieces, split_by_piece
from piano.tokens import tokens_of
from workbench.files import data_path
from workbench.jobs import Jobs

as_root = getattr(os, "geteuid", lambda: 1)() == 0


def music(*pitches, channel=0):
    """The bytes of a file, one quarter after the other."""
    return midi_bytes(Midi([Note(Fraction(i), Fraction(1), pitch, channel=channel) for i, pitch in enumerate(pitches)]))


def rhythmic(*names):
    return [f"{name}|1|1" for name in names]


@pytest.fixture
def folder(tmp_path):
    """b.mid, c/a.MID and c/d/b.kar, and what does not count."""
    (tmp_path / "f" / "c" / "d").mkdir(parents=True)
    (tmp_path / "f" / ".hidden").mkdir()
    for i, name in enumerate(["b.mid", "c/a.MID", "c/d/b.kar", ".b.mid", ".hidden/e.mid", "text.txt"]):
        (tmp_path / "f" / name).write_bytes(music(60 + i, 64))
    return tmp_path / "f"


def pieces_and_refused(*paths, **options):
    refused = []
    pieces = read_pieces(paths, on_refused=lambda error: refused.append(str(error)), **options)
    return pieces, refused


# which files


def test_a_folder_is_searched_to_its_depths_in_order(folder):
    pieces = read_pieces([folder])
    assert [(piece.name, piece.path) for piece in pieces] == [
        ("b", f"{folder}/b.mid"),
        ("a", f"{folder}/c/a.MID"),
        ("b (2)", f"{folder}/c/d/b.kar"),
    ]
    assert [piece.tokens for piece in pieces] == [["C4", "E4"], ["C#4", "E4"], ["D4", "E4"]]
    assert read_pieces([str(folder)], rhythm=True)[0].tokens == rhythmic("C4", "E4")


def test_a_file_that_is_named_comes_first_whatever_it_is_called(folder):
    (folder / "text.txt").rename(folder / "music.bin")
    pieces = read_pieces([folder / "c" / "d", folder / "music.bin"])
    assert [piece.name for piece in pieces] == ["music", "b"]


def test_a_file_that_is_found_twice_counts_once(folder):
    (folder.parent / "link").symlink_to(folder)
    pieces, refused = pieces_and_refused(folder, folder / "c", folder / "b.mid", folder.parent / "link", folder)
    assert ([piece.name for piece in pieces], refused) == (["b", "a", "b (2)"], [])


def test_names_are_never_the_same(tmp_path):
    for i, name in enumerate(["a/x.mid", "b/x.mid", "c/x (2).mid", "d/x.mid"]):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(music(60, 61 + i))
    assert [piece.name for piece in read_pieces([tmp_path])] == ["x", "x (2)", "x (2) (2)", "x (3)"]


def test_links_to_folders_are_not_followed_and_make_no_loop(folder):
    (folder / "c" / "loop").symlink_to(folder)
    (folder.parent / "elsewhere").mkdir()
    (folder.parent / "elsewhere" / "g.mid").write_bytes(music(70, 71))
    (folder / "link").symlink_to(folder.parent / "elsewhere")
    (folder / "self.mid").symlink_to("self.mid")
    (folder / "nowhere.mid").symlink_to("nothing")
    pieces, refused = pieces_and_refused(folder)
    assert len(pieces) == 3
    assert ["could not be read" in why for why in refused] == [True, True]
    assert "nowhere.mid" in refused[0]
    assert "self.mid" in refused[1]


def test_a_folder_named_like_a_file_is_a_folder(folder):
    (folder / "c").rename(folder / "c.mid")
    assert [piece.name for piece in read_pieces([folder])] == ["b", "a", "b (2)"]


# what is refused


def test_what_is_wrong_with_a_file_is_said(tmp_path):
    whole = music(60, 64)
    bad = {
        "cut.mid": (whole[:20], r"must have at least one track"),
        "drums.mid": (music(60, 64, channel=9), r"must have piano notes at 2 or more times, it has them at 0; drums"),
        "empty.mid": (b"", r"must be a MIDI file and begin with 'MThd', it begins with ''"),
        "one.mid": (music(60), r"must have piano notes at 2 or more times, it has them at 1"),
        "text.mid": (b"no music", r"must be a MIDI file"),
    }
    for name, (content, _) in bad.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(
        NumpyrnnError, match=rf"^{tmp_path} must hold MIDI files \(\.mid .*\) that can be used, it hold"
    ):
        pieces_and_refused(tmp_path)
    (tmp_path / "good.mid").write_bytes(whole)
    pieces, refused = pieces_and_refused(tmp_path)
    assert [piece.name for piece in pieces] == ["good"]
    for (name, (_, reason)), why in zip(bad.items(), refused, strict=True):
        assert why.startswith(f"{tmp_path / name} must ")
        with pytest.raises(NumpyrnnError, match=rf"^{tmp_path / name} {reason}") as raised:
            read_pieces([tmp_path / "good.mid", tmp_path / name], on_refused=lambda _: None)
        assert str(raised.value) == why
    with pytest.raises(
        NumpyrnnError, match=r"cut\.mid must have at least one track"
    ):  # without `on_refused`, it is an error
        read_pieces([tmp_path])


def test_a_folder_must_have_files(tmp_path):
    for path in (tmp_path, tmp_path / "x.mid"):
        path.mkdir(exist_ok=True)
        with pytest.raises(NumpyrnnError, match="that can be used, it holds none"):
            read_pieces([path])


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(NumpyrnnError, match=r"nothing\.mid could not be read: No such file"):
        pieces_and_refused(tmp_path / "nothing.mid")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_does_not_block(folder):
    os.mkfifo(folder / "pipe.mid")
    assert pieces_and_refused(folder, cache=folder / "pipe.mid")[1] == [
        f"{folder}/pipe.mid must be a MIDI file, it is a device or a pipe"
    ]


@pytest.mark.skipif(as_root, reason="root reads everything")
def test_what_may_not_be_read_is_said(folder):
    (folder / "b.mid").chmod(0)
    (folder / "c" / "d").chmod(0)
    try:
        pieces, refused = pieces_and_refused(folder)
    finally:
        (folder / "c" / "d").chmod(0o700)
    assert [piece.name for piece in pieces] == ["a"]
    assert sorted(why.split(":")[0] for why in refused) == [
        f"{folder}/b.mid could not be read",
        f"{folder}/c/d could not be read",
    ]


def test_the_same_file_under_another_name_is_refused(folder):
    (folder / "z.mid").write_bytes((folder / "b.mid").read_bytes())
    same = f"{folder}/%s must differ from the other files, it is the same as {folder}/%s"
    pieces, refused = pieces_and_refused(folder)
    assert (len(pieces), refused) == (3, [same % ("z.mid", "b.mid")])
    pieces, refused = pieces_and_refused(folder, folder / "z.mid")  # the one that is named stays
    assert ([piece.name for piece in pieces], refused) == (["z", "a", "b"], [same % ("b.mid", "z.mid")])
    with pytest.raises(NumpyrnnError, match=r"b\.mid must differ from the other files, it is the same as .*z\.mid"):
        pieces_and_refused(folder / "z.mid", folder / "b.mid")


def test_a_file_that_changes_while_it_is_read_is_refused(folder, monkeypatch):
    versions = iter([music(60, 64), music(60, 67)])
    monkeypatch.setattr(corpus, "first_bytes", lambda *_: next(versions))
    with pytest.raises(NumpyrnnError, match=r"b\.mid must not change while it is read, it did"):
        read_pieces([folder / "b.mid"])


def test_the_shipped_files_are_pieces():
    pieces = read_pieces([data_path("piano")])
    assert len(pieces) == 10
    assert [piece.tokens for piece in pieces] == [tokens_of(read_midi(piece.path)) for piece in pieces]


# the cache


@pytest.fixture
def no_parsing(monkeypatch):
    """Switched on, parsing fails."""

    def switch_on():
        monkeypatch.setattr(corpus, "parse_midi", lambda *_: pytest.fail("a file was parsed"))

    return switch_on


def test_what_is_in_the_cache_is_not_parsed_again(folder, no_parsing):
    (folder / "bad.mid").write_bytes(b"no music")
    cache = folder / "cache.json"
    first = pieces_and_refused(folder, cache=cache)
    before = cache.stat()
    no_parsing()
    assert pieces_and_refused(folder, cache=cache) == first
    assert [piece.tokens for piece in pieces_and_refused(folder, cache=cache, rhythm=True)[0]] == [
        rhythmic("C4", "E4"),
        rhythmic("C#4", "E4"),
        rhythmic("D4", "E4"),
    ]
    assert (cache.stat().st_mtime_ns, cache.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_only_what_is_new_is_parsed_and_what_is_gone_is_forgotten(folder):
    cache, parsed = folder / "cache.json", []

    def progress(items):
        parsed.append([path.name for path in items])
        return items

    read_pieces([folder], cache=cache, progress=progress)
    (folder / "b.mid").write_bytes(music(70, 71))
    (folder / "c" / "a.MID").unlink()
    assert [piece.tokens for piece in read_pieces([folder], cache=cache, progress=progress)] == [
        ["B-4", "B4"],
        ["D4", "E4"],
    ]
    assert parsed == [["b.mid", "a.MID", "b.kar"], ["b.mid"]]
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (folder / "b.mid", folder / "c/d/b.kar")}
    assert json.loads(cache.read_text())["files"].keys() == digests


GOOD = rhythmic("C4", "E4")
NO_READINGS = [
    None,
    True,
    7,
    10**400,
    1.5,
    {},
    [],
    ["C4|1|1"],
    ["C4", "E4"],
    [*GOOD, "H4|1|1"],
    [*GOOD, 7],
    [*GOOD, []],
]
NO_READINGS += [[*GOOD, "C4|1|9"], [*GOOD, None], [GOOD, GOOD], "", "C4", "must \x1b[2J", "must be " + "x" * 1000]


@pytest.mark.parametrize("reading", NO_READINGS, ids=range(len(NO_READINGS)))
def test_a_value_that_no_file_gives_is_ignored(folder, reading):
    check_damaged(folder, lambda sound: {**sound, "files": dict.fromkeys(sound["files"], reading)})


NO_CACHES = [
    lambda sound: [sound],
    lambda sound: {**sound, "version": CACHE_HEADER["version"] + 1},
    lambda sound: {**sound, "version": []},
    lambda sound: {**sound, "format": "another"},
    lambda sound: {"files": sound["files"]},
    lambda sound: {**sound, "files": list(sound["files"].items())},
    lambda sound: CACHE_HEADER,
]


@pytest.mark.parametrize("damage", NO_CACHES, ids=range(len(NO_CACHES)))
def test_another_kind_of_file_is_no_cache(folder, damage):
    check_damaged(folder, damage)


def check_damaged(folder, damage):
    """Every value of this cache is wrong, so any use of it shows. A damaged cache must not be used."""
    cache = folder / "cache.json"
    right = read_pieces([folder], cache=cache)
    sound = json.loads(cache.read_text())
    false = {**sound, "files": dict.fromkeys(sound["files"], rhythmic("A0", "C8"))}
    cache.write_text(json.dumps(false))
    assert [piece.tokens for piece in read_pieces([folder], cache=cache)] == [["A0", "C8"]] * 3
    text = json.dumps(damage(false))
    cache.write_text(text)
    assert read_pieces([folder], cache=cache) == right
    assert json.loads(cache.read_text()) == sound


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"9" * 10_000, b'{"version":1e999999}', b"NaN", b'"x"', b"\0", b"{}" * 2],
)
def test_what_is_not_json_is_ignored_and_replaced(folder, content):
    cache = folder / "cache.json"
    cache.write_bytes(content)
    assert len(read_pieces([folder], cache=cache)) == 3
    assert len(json.loads(cache.read_text())["files"]) == 3


def test_a_cache_that_cannot_be_written_is_no_error(folder):
    (folder / "is a folder").mkdir()
    for cache in (folder / "nowhere" / "cache.json", folder / "is a folder", "/dev/null/cache.json"):
        assert len(read_pieces([folder], cache=cache)) == 3
    assert not any(folder.glob("**/*.json"))


def test_the_cache_of_a_folder_is_hidden_in_it(folder, monkeypatch):
    cache = default_cache([folder])
    assert cache == folder / ".numpyrnn-piano.json"
    for none in ([folder / "b.mid"], [folder / "nothing"], [folder, folder], [data_path("piano")]):
        assert default_cache(none) is None
    assert len(read_pieces([folder], cache=cache)) == len(read_pieces([folder], cache=cache)) == 3
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    assert default_cache([folder]) is None


# several processes


def test_several_processes_read_the_same_in_the_same_order(folder):
    for i in range(6):
        (folder / f"bad {i}.mid").write_bytes(b"no music" + bytes([i]))
    parallel = pieces_and_refused(folder, rhythm=True, jobs=Jobs(2))
    assert len(parallel[1]) == 6
    assert pieces_and_refused(folder, rhythm=True) == parallel


def die(path):
    os._exit(3)


def test_a_process_that_dies_is_one_error(folder, monkeypatch):
    monkeypatch.setattr(corpus, "_read", die)
    with pytest.raises(NumpyrnnError, match="a process has died"):
        pieces_and_refused(folder, jobs=Jobs(2))


def test_an_interruption_leaves_no_file(folder):
    def interrupted(items):
        yield items[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_pieces([folder], cache=folder / "cache.json", progress=interrupted, jobs=Jobs(2))
    assert not (folder / "cache.json").exists()


# the split


def some_pieces(n):
    return [Piece(f"{i:03}", None, ["C4", "D4"]) for i in range(n)]


@given(st.integers(2, 60), st.integers(0, 5), st.floats(0, 0.999), st.randoms())
def test_the_split_is_a_partition_that_does_not_depend_on_the_order(n, seed, share, random):
    pieces = some_pieces(n)
    training, held_out = split_by_piece(pieces, seed, share)
    assert sorted(training + held_out, key=lambda piece: piece.name) == pieces
    assert len(held_out) == min(max(round(share * n), 1), n - 1)
    for part in (training, held_out):
        assert part == sorted(part, key=lambda piece: piece.name)
    shuffled = random.sample(pieces, n)
    assert split_by_piece(shuffled, seed, share) == (training, held_out)


def test_another_seed_is_another_split():
    assert len({split_by_piece(some_pieces(20), seed)[1][0].name for seed in range(10)}) > 3
    assert [piece.name for piece in split_by_piece(some_pieces(10), 0)[1]] == ["004", "006"]


def test_of_a_single_piece_the_end_is_held_out():
    tokens = [f"C{i}" for i in range(1, 8)] + ["D4", "E4", "F4"]
    training, held_out = split_by_piece([Piece("x", "x.mid", tokens)], 0)
    assert training == [Piece("x", "x.mid", tokens[:8])]
    assert held_out == [Piece("x, end", "x.mid", tokens[8:])]
    assert [len(part[0].tokens) for part in split_by_piece(some_pieces(1), 0)] == [1, 1]


@pytest.mark.parametrize("pieces", [[], [Piece("x", None, ["C4"])]])
def test_what_cannot_be_split_is_an_error(pieces):
    with pytest.raises(NumpyrnnError, match="two pieces, or one with two tokens"):
        split_by_piece(pieces, 0)


@pytest.mark.parametrize("share", [-0.1, 1, float("nan"), "x"])
def test_a_share_is_a_share(share):
    with pytest.raises(NumpyrnnError, match="share must be at least 0 and below 1"):
        split_by_piece(some_pieces(3), 0, share)
