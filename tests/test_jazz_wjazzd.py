"""The CSV form of the Weimar Jazz Database is read as it says, and damaged or hostile files are refused."""

import csv
import io
import random
import zipfile
from contextlib import suppress
from fractions import Fraction

import pytest

from jazz.reading.transcription import transcription
from jazz.reading.wjazzd import COLUMNS, read_rows, read_transcriptions
from numpyrnn import NumpyrnnError

F = Fraction

BEAT = {"onset": "10.0", "duration": "0.5", "bar": "1", "beat": "1", "signature": "'4/4'", "chord": "C-7"}
NOTE = {"onset": "10.0", "duration": "0.25", "bar": "1", "beat": "1", "tatum": "1", "division": "1", "pitch": "60"}
CHORDS = ["C-7", "C-7", "F79b", "F79b", "Bbj7", "", "", "NC"]


def beats():
    """Two bars of half seconds, beginning with bar 1 at 10 s."""
    places = [(bar, beat) for bar in (1, 2) for beat in (1, 2, 3, 4)]
    return [
        BEAT | {"bar": str(bar), "beat": str(beat), "onset": str(10 + i / 2), "chord": CHORDS[i]}
        for i, (bar, beat) in enumerate(places)
    ]


def notes():
    return [
        dict(NOTE),
        NOTE | {"onset": "10.8", "beat": "2", "tatum": "2", "division": "3", "pitch": "63", "loud_median": "61.5"},
        NOTE | {"onset": "12.05", "duration": "0.5", "bar": "2", "pitch": "65"},
    ]


def table(rows):
    text = io.StringIO()
    writer = csv.DictWriter(text, list({name: None for row in rows for name in row}), restval="")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def packed(path, files, **how):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **how) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def pair(name="Some_One", **changed):
    return {f"melody/{name}.csv": table(notes()), f"beats/{name}.csv": table(beats())} | changed


def test_notes_have_places_by_tatum_and_times_by_the_local_beat():
    found = transcription("x", notes(), beats())
    assert [(note.bar, note.place, note.pitch) for note in found.notes] == [(0, 0, 60), (0, F(4, 3), 63), (1, 0, 65)]
    assert [(note.begin, note.end) for note in found.notes] == [
        (0, F(1, 2)),
        (F(8, 5), F(21, 10)),
        (F(41, 10), F(51, 10)),
    ]
    assert [note.loudness for note in found.notes] == [None, 61.5, None]
    assert found.tempo == 120


def test_chords_are_in_the_databases_order_and_last_until_the_next():
    found = transcription("x", notes(), beats())
    assert [(onset, chord.symbol) for onset, chord in found.chords] == [
        (0, "C-7"),
        (2, "F79b"),
        (4, "Bbj7"),
        (7, "N.C."),
    ]
    assert found.chords[1][1].intervals == (0, 4, 7, 10, 1)


def test_bars_go_from_the_first_note_to_the_last():
    found = transcription("x", [note | {"bar": "2", "onset": "12"} for note in notes()[:1]], beats())
    assert found.meters == [(4, 4)]
    assert [chord.symbol for _, chord in found.chords] == ["Bbj7", "N.C."]


def test_a_zip_and_a_folder_give_the_same(tmp_path):
    files = pair("B_2") | pair("A_1")
    packed(tmp_path / "all.zip", files)
    for name, data in files.items():
        (tmp_path / "all" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "all" / name).write_bytes(data)
    found = [list(read_transcriptions(tmp_path / name)) for name in ("all.zip", "all")]
    assert found[0] == found[1]
    assert [read.name for read in found[0]] == ["A_1", "B_2"]
    assert [read.name for read in read_transcriptions(tmp_path / "all", wanted=lambda name: name == "B_2")] == ["B_2"]


def test_a_zip_of_a_folder_is_read_too(tmp_path):
    path = packed(tmp_path / "all.zip", {f"wjazzd/{name}": data for name, data in pair("A_1").items()})
    assert [read.name for read in read_transcriptions(path)] == ["A_1"]


def test_an_unusable_solo_is_named_and_the_others_are_read(tmp_path):
    path = packed(tmp_path / "all.zip", pair("A_1") | pair("B_2", **{"melody/B_2.csv": b"onset\n1\n2\n"}))
    refused = []
    assert [read.name for read in read_transcriptions(path, on_refused=refused.append)] == ["A_1"]
    assert "B_2: a CSV file must have the columns onset, duration, bar" in str(refused[0])
    with pytest.raises(NumpyrnnError, match="B_2"):
        list(read_transcriptions(path))


WRONG = [
    ("melody", 1, {"tatum": "4"}, "tatum 4 of 3"),
    ("melody", 1, {"tatum": "0"}, "tatum 0 of 3"),
    ("melody", 1, {"division": "1000000"}, "division|tatum"),
    ("melody", 1, {"pitch": "128"}, "pitch 128"),
    ("melody", 1, {"pitch": "nan"}, "must hold a number, it holds 'nan'"),
    ("melody", 1, {"pitch": "9" * 5000}, "must hold a number"),
    ("melody", 1, {"beat": "1.5"}, "whole number"),
    ("melody", 1, {"beat": "5"}, "beat 5 of bar 1 is not"),
    ("melody", 2, {"bar": "0"}, "bars in order"),
    ("melody", 2, {"bar": "999999"}, "bars in order"),
    ("melody", 2, {"bar": "4"}, "bar 3 has none"),
    ("melody", 0, {"beat": "3"}, "notes must be in order"),
    ("melody", 0, {"onset": ""}, "must hold a number, it holds ''"),
    ("beats", 1, {"beat": "0"}, "beat 0 of bar 1 must lie in its bar"),
    ("beats", 1, {"duration": "0"}, "last some time"),
    ("beats", 1, {"duration": "-inf"}, "must hold a number"),
    ("beats", 1, {"onset": "9"}, "beats must be in order"),
    ("beats", 0, {"signature": "4/0"}, "a meter must be"),
    ("beats", 1, {"chord": "Hx"}, "a chord must be"),
]


@pytest.mark.parametrize(("which", "row", "changed", "why"), WRONG)
def test_wrong_values_are_refused(which, row, changed, why):
    rows = {"melody": notes(), "beats": beats()}
    rows[which][row] |= changed
    with pytest.raises(NumpyrnnError, match=why):
        transcription("x", rows["melody"], rows["beats"])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "2 to 50000 rows, it has 0"),
        (b"\xff\xfe", "UTF-8"),
        (b"a,b\n1,2\n3,4\n", "missing: onset"),
        (b"onset\n" + b"1\n" * 50_001, "it has 50001"),
        (b" " * 4_000_001, "at most 4000000 bytes"),
        (b'onset\n"' + b"x" * 200_000, "CSV file in UTF-8"),
    ],
)
def test_tables_that_are_none_are_refused(data, why):
    with pytest.raises(NumpyrnnError, match=why):
        read_rows(data, COLUMNS["melody"])


def test_hostile_zips_are_refused(tmp_path):
    bomb = packed(tmp_path / "bomb.zip", pair(**{"melody/Some_One.csv": b"onset\n" + b"0" * 50_000_000}))
    with pytest.raises(NumpyrnnError, match="at most 4000000 bytes"):
        list(read_transcriptions(bomb))
    with zipfile.ZipFile(tmp_path / "lzma.zip", "w", zipfile.ZIP_LZMA) as archive:
        for name, data in pair().items():
            archive.writestr(name, data)
    (tmp_path / "text.zip").write_text("no zip")
    whole = packed(tmp_path / "whole.zip", pair()).read_bytes()
    (tmp_path / "large.zip").write_bytes(whole[:-22] + b"PK\6\7" + bytes(16) + whole[-22:])
    (tmp_path / "folder").mkdir()
    for name, why in [
        ("lzma.zip", "holds 0"),
        ("text.zip", "must be a folder, or a zip"),
        ("large.zip", "or a zip"),
        ("folder", "holds 0"),
    ]:
        with pytest.raises(NumpyrnnError, match=why):
            list(read_transcriptions(tmp_path / name))
    with pytest.raises(NumpyrnnError, match="could not be read"):
        list(read_transcriptions(tmp_path / "missing.zip"))


@pytest.mark.torture
def test_damaged_files_are_read_or_refused(tmp_path, rounds, tell):
    rng, read, count = random.Random(0), 0, rounds(300, 5000)
    zipped, files = packed(tmp_path / "all.zip", pair()).read_bytes(), pair()
    for name in files:
        (tmp_path / "all" / name).parent.mkdir(parents=True)
    for i in range(count):
        originals = {"all.zip": zipped} if i % 2 else {f"all/{name}": data for name, data in files.items()}
        bad = rng.choice(list(originals))
        for name, data in originals.items():
            damaged = bytearray(data)
            damaged[rng.randrange(len(data))] ^= (1 << rng.randrange(8)) * (name == bad)
            (tmp_path / name).write_bytes(damaged[: rng.choice([len(data)] * 3 + [rng.randrange(len(data))])])
        refused = []
        with suppress(NumpyrnnError):
            read += len(list(read_transcriptions(tmp_path / bad.split("/")[0], on_refused=refused.append)))
        assert all("\n" not in str(error) for error in refused)
    assert 0 < read < count
    tell(f"{count:,} damaged zips and tables of solos: {read:,} read, the others refused in one line")
