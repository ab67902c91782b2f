"""A small database with the published tables and columns of the Weimar Jazz Database; its solos are made up."""

import sqlite3
from contextlib import closing

SCHEMA = """
CREATE TABLE solo_info (melid INTEGER, trackid INTEGER, compid INTEGER, recordid INTEGER, performer TEXT, title TEXT,
  titleaddon TEXT, solopart INTEGER, instrument TEXT, style TEXT, avgtempo FLOAT, tempoclass TEXT, rhythmfeel TEXT,
  key TEXT, signature TEXT, chord_changes TEXT, chorus_count INTEGER);
CREATE TABLE melody (eventid INTEGER PRIMARY KEY AUTOINCREMENT, melid INTEGER, onset REAL, pitch REAL, duration REAL,
  period INTEGER, division INTEGER, bar INTEGER, beat INTEGER, tatum INTEGER, subtatum INTEGER, num INTEGER,
  denom INTEGER, beatprops TEXT, beatdur REAL, tatumprops TEXT, loud_max REAL, loud_med REAL, loud_sd REAL,
  loud_relpos REAL, loud_cent REAL, loud_s2b REAL, f0_mod TEXT, f0_range REAL, f0_freq_hz REAL, f0_med_dev REAL);
CREATE TABLE beats (beatid INTEGER PRIMARY KEY AUTOINCREMENT, melid INTEGER, onset REAL, bar INTEGER, beat INTEGER,
  signature TEXT, chord TEXT, form TEXT, bass_pitch INTEGER, chorus_id INTEGER);
CREATE TABLE sections (melid INTEGER, type TEXT, start INTEGER, end INTEGER, value TEXT);
"""
CHORDS = ("F7", "Bb79b", "F7", "F7", "Bbj7", "G-7", "C79#", "NC")
LINE = (65, 69, 72, 75, 74, 70, 68, 66, 65, 63, 62, 60, 58, 60, 62, 64)
SOLOS = [  # performer, title, part, style, quarters a minute, beats in a bar
    ("Anna Alto", "Blue Page", 1, "BEBOP", 180, 4),
    ("Anna Alto", "Blue Page", 2, "BEBOP", 180, 4),
    ("Ben B. Tenor", "Blue Page", 1, "HARDBOP", 200, 4),
    ("Ben B. Tenor", "Slow Door", 1, "COOL", 90, 4),
    ("Cleo O'Horn", "Three Is Fine", 1, "POSTBOP", 150, 3),
    ("Cleo O'Horn", "Green Lamp", 1, "COOL", 240, 4),
]


def insert(connection, melid, solo, bars=8):
    """Add a solo of eighths, with a triplet in every bar; signatures and chords stand only where they change."""
    performer, title, part, style, tempo, beats = solo
    connection.execute(
        "INSERT INTO solo_info (melid, performer, title, titleaddon, solopart, style, avgtempo, signature) "
        "VALUES (?, ?, ?, '', ?, ?, ?, ?)",
        (melid, performer, title, part, style, tempo, f"{beats}/4"),
    )
    beat, count = 60 / tempo, melid
    for i in range(-beats, bars * beats):
        bar, number = i // beats, i % beats + 1
        onset = 10 + i * beat
        first = i == -beats
        chord = "NC" if first else CHORDS[bar % len(CHORDS)] if number == 1 and i >= 0 else ""
        connection.execute(
            "INSERT INTO beats (melid, onset, bar, beat, signature, chord, form, chorus_id) VALUES (?,?,?,?,?,?,'',1)",
            (melid, onset, bar, number, f"{beats}/4" if first else "", chord),
        )
        division = 0 if i < 0 or (bar + number + melid) % 5 == 0 else 3 if number == 3 else 2
        for tatum in range(1, division + 1):
            count += tatum + number
            row = (melid, onset + (tatum - 1) * beat / division, LINE[count % len(LINE)], 0.9 * beat / division)
            place = (beats, division, bar, number, tatum, beats, 4, beat)
            connection.execute(
                "INSERT INTO melody (melid, onset, pitch, duration, period, division, bar, beat, tatum, num, denom, "
                "beatdur) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
                (*row, *place),
            )


def database(path, solos=SOLOS, then=()):
    """Write the database and run some more statements."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(SCHEMA)
        for melid, solo in enumerate(solos, 1):
            insert(connection, melid, solo)
        for statement in then:
            connection.execute(statement)
        connection.commit()
    return path
