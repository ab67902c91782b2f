"""The Weimar Jazz Database as it is downloaded: read, chosen from, and refused if it is damaged or hostile."""

import hashlib
import random
import sqlite3
from contextlib import closing, suppress
from fractions import Fraction
from itertools import pairwise

import pytest
from weimar import CHORDS, SOLOS, database

from jazz.reading.corpus import read_tunes
from jazz.reading.wjazzd import (
    COLUMNS,
    Chosen,
    entries_of,
    is_database,
    parse_tempos,
    read_solos,
    read_transcriptions,
)
from numpyrnn import NumpyrnnError

F = Fraction


@pytest.fixture
def weimar(tmp_path):
    return database(tmp_path / "wjazzd.db")


def run(path, *statements):
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


def test_solos_are_named_and_read_by_bar_beat_and_tatum(weimar):
    first, *others = read_transcriptions(weimar)
    assert [first.name, *(other.name for other in others)] == [
        "AnnaAlto_BluePage-1",
        "AnnaAlto_BluePage-2",
        "BenBTenor_BluePage-1",
        "BenBTenor_SlowDoor-1",
        "CleoO'Horn_GreenLamp-1",
        "CleoO'Horn_ThreeIsFine-1",
    ]
    assert {note.place for note in first.notes if note.place // 1 == 2} == {2, F(7, 3), F(8, 3)}
    assert {note.place for note in first.notes if note.place // 1 == 0} == {0, F(1, 2)}
    assert first.tempo == pytest.approx(180)
    assert set(first.meters) == {(4, 4)}


def test_a_signature_and_a_chord_hold_until_the_next(weimar):
    solos = {played.name: played for played in read_transcriptions(weimar)}
    assert set(solos["CleoO'Horn_ThreeIsFine-1"].meters) == {(3, 4)}
    chords = solos["AnnaAlto_BluePage-1"].chords
    assert [str(chord) for _, chord in chords] == ["F7", "Bb79b", "F7", "Bbj7", "G-7", "C79#", "N.C."]
    assert [onset for onset, _ in chords] == [0, 4, 8, 16, 20, 24, 28]
    assert chords[1][1].intervals == (0, 4, 7, 10, 1)


def test_the_chord_before_the_first_bar_still_holds_there(weimar):
    run(weimar, "UPDATE beats SET chord = 'D-7' WHERE melid = 1 AND bar = -1 AND beat = 1")
    run(weimar, "UPDATE beats SET chord = '' WHERE melid = 1 AND bar < 2 AND bar >= 0")
    first = next(read_transcriptions(weimar))
    assert [str(chord) for _, chord in first.chords][:2] == ["D-7", CHORDS[2]]


def test_a_beat_lasts_until_the_next_one(weimar):
    run(weimar, "UPDATE beats SET onset = onset + 1 WHERE melid = 1 AND bar > 3")
    run(weimar, "UPDATE melody SET onset = onset + 1 WHERE melid = 1 AND bar > 3")
    first = next(read_transcriptions(weimar))
    assert next(note.begin for note in first.notes if note.bar == 4) == 16  # in quarters, though a second was waited


def test_a_tune_has_its_notes_on_sixteenths_and_triplets_and_is_named_after_the_player(weimar):
    tunes = read_solos(weimar)
    assert [(tune.name, tune.group) for tune in tunes][::2] == [
        ("Anna Alto, Blue Page", "bluepage"),
        ("Ben B. Tenor, Blue Page", "bluepage"),
        ("Cleo O'Horn, Green Lamp", "greenlamp"),
    ]
    assert {e.onset % 1 for bar in tunes[0].bars for e in bar.melody if e.pitches} == {0, F(1, 3), F(1, 2), F(2, 3)}
    assert {e.duration for bar in tunes[0].bars for e in bar.melody if e.pitches} == {F(1, 3), F(1, 2)}
    assert {tune.name for tune in read_tunes([weimar])} >= {"Anna Alto, Blue Page", "Anna Alto, Blue Page (2)"}


def test_a_short_silence_is_articulation_and_a_long_one_a_rest(weimar):
    run(weimar, "UPDATE melody SET duration = duration / 3")  # eighths last .15 of a beat
    played = [e for bar in read_solos(weimar)[0].bars for e in bar.melody if e.pitches]
    gaps = [(note.duration, following.onset - note.onset) for note, following in pairwise(played)]
    assert {duration for duration, gap in gaps if gap == F(1, 2)} == {F(1, 2)}
    assert {duration for duration, gap in gaps if gap == F(3, 2)} == {F(1, 4)}


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (Chosen(), 6),
        (Chosen(performers=("alto",)), 2),
        (Chosen(performers=("ben b tenor", "CLEO")), 4),
        (Chosen(performers=("o'horn",), meter=(3, 4)), 1),
        (Chosen(styles=("hard bop",)), 1),
        (Chosen(styles=("Hard-Bop", "cool")), 3),
        (Chosen(tempos=(100, 200)), 4),
        (Chosen(tempos=(90, 90)), 1),
        (Chosen(meter=(4, 4), styles=("cool",), tempos=(100, 300)), 1),
    ],
)
def test_solos_are_chosen_by_performer_style_tempo_and_meter(weimar, chosen, names):
    assert len(read_solos(weimar, chosen)) == names


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        (
            Chosen(performers=("Nobody",)),
            "--performer must be one of Anna Alto, Ben B. Tenor, Cleo O'Horn; got 'Nobody'",
        ),
        (Chosen(performers=("-",)), "--performer must be one of"),
        (Chosen(styles=("bop",)), "--style must be one of BEBOP, COOL, HARDBOP, POSTBOP; got 'bop'"),
        (Chosen(tempos=(300, 400)), "it holds none"),
    ],
)
def test_what_is_not_there_is_said(weimar, chosen, why):
    with pytest.raises(NumpyrnnError, match=why):
        read_solos(weimar, chosen)


@pytest.mark.parametrize("text", ["", "100", "260-100", "fast", "1e3-2e3", "-5-10", "100-260-300", "100-2600"])
def test_a_range_of_tempos_must_be_two_numbers_in_order(text):
    assert parse_tempos(" 100 - 260 ") == (100, 260)
    with pytest.raises(NumpyrnnError, match="--tempo must be a range"):
        parse_tempos(text)


def test_the_file_is_only_read(weimar):
    before = hashlib.sha256(weimar.read_bytes()).digest()
    weimar.chmod(0o400)
    names = sorted(weimar.parent.iterdir())
    read_solos(weimar)
    assert hashlib.sha256(weimar.read_bytes()).digest() == before
    assert sorted(weimar.parent.iterdir()) == names


def test_a_path_with_signs_of_a_url_is_read(tmp_path):
    assert len(read_solos(database(tmp_path / "my db?mode=rw#1%20.db"))) == 6


def test_it_is_recognised_by_content(tmp_path, weimar):
    assert is_database(weimar.rename(tmp_path / "solos"))
    for name, content in {"a.db": b"", "b.db": b"MThd", "c.npz": b"PK\3\4"}.items():
        (tmp_path / name).write_bytes(content)
        assert not is_database(tmp_path / name)
    assert not is_database(tmp_path / "missing")
    assert not is_database(tmp_path)


HOSTILE = {
    "DROP TABLE solo_info": "no such table: solo_info",
    "DROP TABLE melody": "no such table: melody",
    "ALTER TABLE melody DROP COLUMN tatum": "no such column: tatum",
    "ALTER TABLE solo_info RENAME COLUMN style TO genre": "no such column: style",
    "DELETE FROM solo_info": "1 to 4096 solos",
    "UPDATE melody SET pitch = 'abc' WHERE melid = 1": "must hold a number, it holds 'abc'",
    "UPDATE melody SET pitch = NULL WHERE melid = 1": "must hold a number, it holds ''",
    "UPDATE melody SET pitch = 9e999 WHERE melid = 1": "must hold a number, it holds 'inf'",
    "UPDATE melody SET pitch = x'00ff' WHERE melid = 1": "must hold a number",
    "UPDATE melody SET bar = 1e18 WHERE melid = 1": "must hold a number",
    "UPDATE melody SET division = 0 WHERE melid = 1": "a note must lie in its beat",
    "UPDATE beats SET onset = 5 WHERE melid = 1": "beats must be in order|last some time",
    "UPDATE beats SET signature = 'FREE' WHERE melid = 1": "a meter must be",
    "UPDATE beats SET chord = zeroblob(900000) WHERE melid = 1": "a chord must be",
    "UPDATE beats SET chord = replace(hex(zeroblob(400000)), '0', 'C') WHERE melid = 1": "at most 100 letters",
    "UPDATE beats SET chord = hex(zeroblob(900000)) WHERE melid = 1": "too big",
    "UPDATE beats SET chord = CAST(x'ff' AS TEXT) WHERE melid = 1": "UTF-8",
    "DELETE FROM melody WHERE melid = 1": "2 to 50000 rows in the table melody, it has 0",
    "DELETE FROM beats WHERE melid = 1": "2 to 50000 rows in the table beats, it has 0",
    "UPDATE beats SET chord = 'NC' WHERE melid = 1": "must have a chord",
}


@pytest.mark.parametrize("statement", HOSTILE)
def test_a_damaged_or_hostile_database_gives_one_clear_line(weimar, statement):
    run(weimar, statement)
    with pytest.raises(NumpyrnnError, match=HOSTILE[statement]) as raised:
        read_solos(weimar)
    assert str(weimar) in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 700


@pytest.mark.parametrize(
    "view",
    [
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n AS melid, 'a' AS performer, 'b' AS "
        "title, 1 AS solopart, 'c' AS style FROM t",
        "SELECT melid, readfile('/etc/passwd') AS performer, title, solopart, style FROM kept",
        "SELECT * FROM kept",
    ],
)
def test_views_never_run(weimar, view):
    run(weimar, "ALTER TABLE solo_info RENAME TO kept", f"CREATE VIEW solo_info AS {view}")
    with pytest.raises(NumpyrnnError, match="must be a whole database"):
        read_solos(weimar)


def test_functions_of_a_column_never_run(weimar):
    columns = "(melid INTEGER, title TEXT, solopart INTEGER, style TEXT, performer TEXT AS (hex(zeroblob(400000))))"
    run(weimar, "DROP TABLE solo_info", f"CREATE TABLE solo_info {columns}")
    run(weimar, "INSERT INTO solo_info VALUES (1, 'a', 1, 'b')")
    with pytest.raises(NumpyrnnError, match="must be a whole database"):
        read_solos(weimar)


@pytest.mark.parametrize(
    ("limit", "why"),
    [("MAX_TABLE", r"wjazzd\.db: the table .* must have at most 20 rows"), ("MAX_STEPS", "interrupted")],
)
def test_rows_and_work_are_bounded(weimar, monkeypatch, limit, why):
    monkeypatch.setattr(f"jazz.reading.wjazzd.{limit}", 20 if limit == "MAX_TABLE" else 0)
    monkeypatch.setattr("jazz.reading.wjazzd.STEPS", 100)
    with pytest.raises(NumpyrnnError, match=why):
        read_solos(weimar)


def test_an_unusable_solo_is_named_and_the_others_are_read(weimar):
    run(weimar, "UPDATE melody SET pitch = 200 WHERE melid = 2", "DELETE FROM beats WHERE melid = 4 AND bar = 3")
    refused = []
    assert len(read_solos(weimar, on_refused=refused.append)) == 4
    assert ["AnnaAlto_BluePage-2" in str(refused[0]), "BenBTenor_SlowDoor-1" in str(refused[1])] == [True, True]


@pytest.mark.torture
def test_a_database_with_flipped_bytes_is_read_or_refused(tmp_path, rounds, tell):
    data, rng, read = database(tmp_path / "whole.db", SOLOS[:2]).read_bytes(), random.Random(0), 0
    cases = rounds(30, 600)
    for _ in range(cases):
        damaged = bytearray(data[: rng.choice([len(data), rng.randrange(16, len(data))])])
        for _ in range(rng.randrange(1, 30)):
            damaged[rng.randrange(16, len(damaged))] = rng.randrange(256)
        (tmp_path / "bad.db").write_bytes(damaged)
        with suppress(NumpyrnnError):
            read_solos(tmp_path / "bad.db", on_refused=lambda error: None)
            read += 1
    tell(f"{cases} damaged databases: {read} read in part or whole, the others refused in one line")


def test_the_csv_form_and_the_database_give_the_same_solos(shared_data, tmp_path):
    """A database is made of some of the CSV files, with signatures and chords where they change only."""
    source = shared_data / "wjazzd" / "wjazzd-csv.zip"
    wanted = ("ArtPepper_Anthropology", "BobBerg_NatureOfTheBeast", "PaulDesmond_BlueRondoALaTurk")
    names = {entry.name: entry for entry in entries_of(source) if entry.name in wanted}
    path = database(tmp_path / "some.db", [])
    with closing(sqlite3.connect(path)) as connection:
        for melid, name in enumerate(wanted):
            performer, title = name.split("_")
            connection.execute(
                "INSERT INTO solo_info (melid, performer, title) VALUES (?, ?, ?)", (melid, performer, title)
            )
            melody, beats = names[name].rows()
            columns = COLUMNS["melody"]
            places = ", ".join("?" * (len(columns) + 1))
            for row in melody:
                values = [float(row[column]) for column in columns]
                connection.execute(
                    f"INSERT INTO melody (melid, {', '.join(columns)}) VALUES ({places})", (melid, *values)
                )
            last = dict.fromkeys(("signature", "chord"), "")
            for row in beats:
                now = {column: row[column].strip("'\"") for column in last}
                changed = {column: text if text != last[column] else "" for column, text in now.items()}
                last = now
                connection.execute(
                    "INSERT INTO beats (melid, onset, bar, beat, signature, chord) VALUES (?, ?, ?, ?, ?, ?)",
                    (melid, *(float(row[c]) for c in ("onset", "bar", "beat")), *changed.values()),
                )
        connection.commit()
    for one, other in zip(read_transcriptions(source, wanted.__contains__), read_transcriptions(path), strict=True):
        assert (one.name, one.meters, one.chords) == (other.name, other.meters, other.chords)
        assert [note[:3] for note in one.notes] == [note[:3] for note in other.notes]


def test_csv_names_give_performer_and_title(tmp_path):
    for folder in ("melody", "beats"):
        (tmp_path / folder).mkdir()
        for name in ("JJJohnson_Walkin'", "MilesDavis_K.C.Blues", "DonByas_Be=Bop", "LeeKonitz_Wow-1", "Solo"):
            (tmp_path / folder / f"{name}.csv").write_text("")
    assert [(entry.performer, entry.title) for entry in entries_of(tmp_path)] == [
        ("Don Byas", "Be-Bop"),
        ("JJ Johnson", "Walkin'"),
        ("Lee Konitz", "Wow"),
        ("Miles Davis", "K.C. Blues"),
        ("Solo", ""),
    ]


def test_the_csv_form_has_no_styles(tmp_path):
    for folder in ("melody", "beats"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "A_B.csv").write_text("")
    with pytest.raises(NumpyrnnError, match=r"--style needs the database itself, wjazzd\.db"):
        read_solos(tmp_path, Chosen(styles=("bebop",)))
