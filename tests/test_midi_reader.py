"""What a MIDI file says is read exactly; a file without music or beyond a limit is refused in one line.

`test_midi_damaged` has files with something wrong in them.
"""

import os
import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from music import reader
from music.midi import Midi, Note, parse_midi, read_midi
from numpyrnn import NumpyrnnError

END = b"\0\xff\x2f\0"


def chunk(kind, content):
    return kind + struct.pack(">I", len(content)) + content


def song(*tracks, form=1, division=96, declared=None, header=b""):
    head = struct.pack(">HHH", form, len(tracks) if declared is None else declared, division) + header
    return chunk(b"MThd", head) + b"".join(chunk(b"MTrk", track) for track in tracks)


def parse(*tracks, **kwargs):
    return parse_midi(song(*tracks, **kwargs), "song.mid")


def sounds(midi):
    return [(note.onset * 96, note.duration * 96, note.pitch) for note in midi.notes]


CONDUCTOR = b"\0\xff\x03\4Song\0\xff\x51\3\x07\xa1\x20\0\xff\x58\4\3\3\x18\x08\x60\xff\x51\3\x03\xd0\x90" + END
PIANO = b"\0\xff\x04\5Piano\0\xc2\x05\x30\x92\x3c\x50\x60\x82\x3c\0" + END
WHOLE = song(CONDUCTOR, PIANO, PIANO)


def test_reads_notes_names_tempos_and_meters():
    midi = parse(CONDUCTOR, PIANO)
    assert midi.notes == [Note(Fraction(1, 2), Fraction(1), 60, 80, channel=2, program=5, track=1)]
    assert midi.names == ["Song", "Piano"]
    assert midi.tempos == [(0, 500_000), (1, 250_000)]
    assert midi.meters == [(0, 3, 8)]
    assert midi.length == Fraction(3, 2)
    assert all(type(time) is Fraction for time in (midi.length, midi.tempos[0][0], midi.notes[0].onset))


def test_defaults_and_type_0():
    assert parse(END, form=0) == Midi([], [""], [(Fraction(0), 500_000)], [(Fraction(0), 4, 4)], Fraction(0))


def test_of_several_tempos_and_meters_at_one_onset_the_last_counts():
    first = b"\0\xff\x51\3\0\0\1\0\xff\x51\3\0\0\2\x60\xff\x58\4\2\2\x18\x08" + END
    second = b"\0\xff\x51\3\0\0\3\x60\xff\x58\4\5\2\x18\x08" + END
    midi = parse(first, second)
    assert midi.tempos == [(0, 3)]
    assert midi.meters == [(0, 4, 4), (1, 5, 4)]


def test_running_status_goes_on_over_meta_and_exclusive_events():
    track = b"\0\x90\x3c\x40\0\x40\x40\0\xff\x01\2hi\0\xf0\2\1\xf7\0\xf7\1\2\x60\x3c\0\0\x40\0" + END
    assert sounds(parse(track)) == [(0, 96, 60), (0, 96, 64)]


def test_all_lengths_of_channel_events():
    track = b"\0\xa0\1\2\0\xb0\1\2\0\xc0\7\0\xd0\1\0\xe0\1\2\0\x90\x3c\x40\1\x80\x3c\x40" + END
    midi = parse(track)
    assert sounds(midi) == [(0, 1, 60)]
    assert midi.notes[0].program == 7


def test_notes_pair_first_in_first_out_by_pitch_and_channel_within_the_track():
    on, off, other = b"\x10\x90\x3c\x40", b"\x10\x80\x3c\x40", b"\x10\x81\x3c\x40"
    assert sounds(parse(on + on + other + off + off + off + END)) == [(16, 48, 60), (32, 48, 60)]
    assert sounds(parse(on + END, off + off + END)) == [(16, 0, 60)]


def test_a_note_never_ended_ends_with_its_track_and_one_may_have_no_length():
    track = b"\0\x90\x3c\x40\0\x3c\0\0\x40\x40\x60\xff\x2f\0"
    assert sounds(parse(track, b"\x70\xff\x2f\0")) == [(0, 0, 60), (0, 96, 64)]
    assert parse(track, b"\x70\xff\x2f\0").length == Fraction(0x70, 96)


def test_notes_are_by_onset_then_track_then_as_they_begin():
    first = b"\x10\x90\x40\x40\0\x3c\x40\x20\x40\0\0\x3c\0" + END
    second = b"\0\x90\x30\x40\x10\x20\x40\x20\x30\0\0\x20\0" + END
    assert [note.pitch for note in parse(first, second).notes] == [0x30, 0x40, 0x3C, 0x20]


def test_programs_of_all_tracks_count_by_their_time():
    notes = b"\0\x90\x3c\x40\x60\x3c\0\0\x3c\x40\x60\x3c\0\0\x91\x3c\x40" + END
    assert [note.program for note in parse(notes, b"\x60\xc0\7" + END).notes] == [0, 7, 0]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"Gr\xc3\xbcn", "Grün"),
        (b"Gr\xfcn", "Grün"),
        (b"a\0b\n\x1b[1mc\x7f", "ab[1mc"),
        (b"x" * 100, "x" * 80),
        ("\u202eabc".encode(), "abc"),
        (b"", "Flute"),
        (b"\0", "Flute"),
    ],
)
def test_names(content, name):
    track = b"\0\xff\x04\5Flute\0\xff\x03" + bytes([len(content)]) + content + b"\0\xff\x03\5later" + END
    expected = "later" if name == "Flute" else name
    assert parse(track).names == [expected]
    assert parse(track.replace(b"\0\xff\x03\5later", b"")).names == [name]


@pytest.mark.parametrize("encoding", ["iso2022_jp", "utf-7", "hz", "utf-16-be", "shift_jis", "utf-8"])
def test_a_name_in_a_given_encoding_even_if_its_bytes_are_ascii(encoding):
    content = "\u4e2d\u6587".encode(encoding)
    track = b"\0\xff\x03" + bytes([len(content)]) + content + END
    assert parse_midi(song(track), "x", encoding).names == ["\u4e2d\u6587"]


def test_tolerated_irregularities():
    track = b"\0\x90\x3c\x40\x60\x80\x3c\x40"
    plain = parse(track + END)
    assert len(plain.notes) == 1
    assert parse(track) == plain  # no end mark
    assert parse(track + END + b"rest") == plain  # something after it
    assert parse(track + END, declared=9) == plain
    assert parse(track + END, header=b"more") == plain
    data = song(track + END)
    assert parse_midi(data + b"rubbish", "x") == plain
    assert parse_midi(data[:14] + chunk(b"XFIH", b"???") + data[14:], "x") == plain
    wrapped = b"LIST\3\0\0\0abc\0" + b"data" + struct.pack("<I", len(data)) + data
    assert parse_midi(b"RIFF" + struct.pack("<I", len(wrapped) + 4) + b"RMID" + wrapped, "x") == plain


HUGE = b"\xff\xff\xff\x7f"
REFUSED = {
    "nothing": (b"", "begins with ''"),
    "text": (b"hello, this is not music", "begins with 'hell'"),
    "empty riff": (b"RIFF\4\0\0\0RMID", "begins with ''"),
    "type 2": (song(END, form=2), "type 2"),
    "short header": (chunk(b"MThd", b"\0\1\0\1"), "header of at least 6 bytes, got 4"),
    "empty header": (b"MThd\0\0\1\0" + bytes(20), "ticks a quarter, it has 0"),
    "no track": (song(), "at least one track"),
    "division 0": (song(END, division=0), "ticks a quarter, it has 0"),
    "smpte": (song(END, division=0xE728), "time codes"),
    "many tracks": (song(*[b""] * 1025), "at most 1024 tracks, it has more"),
    "many chunks": (song()[:10] + b"\0\1\0\x60" + chunk(b"XXXX", b"") * 4096 + chunk(b"MTrk", END), "4096 chunks"),
    "many bytes": (song(END) + bytes(16_000_000), "at most 16000000 bytes"),
    "many events": (song(b"\0\xc0\0" + b"\0\0" * 250_000), "at most 250000 events"),
    "huge delta": (song(b"\0\x90\x3c\x40" + HUGE + b"\x80\x3c\0" + END), "at most 100000 quarters"),
    "huge end": (song(HUGE + END[1:]), "at most 100000 quarters"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_in_one_line_with_the_name(case):
    data, message = REFUSED[case]
    with pytest.raises(NumpyrnnError) as caught:
        parse_midi(data, "song.mid")
    line = str(caught.value)
    assert line.startswith("song.mid must ")
    assert message in line
    assert "\n" not in line
    assert len(line) < 200


def test_the_limits_themselves_are_accepted():
    assert len(parse(*[b""] * reader.MAX_TRACKS).names) == reader.MAX_TRACKS
    assert parse(b"\0\xc0\0" + b"\0\0" * (reader.MAX_EVENTS - 1)).notes == []
    assert parse(b"\x86\x8d\x20" + END[1:], division=1).length == reader.MAX_QUARTERS


def test_as_many_notes_of_one_pitch_as_there_may_be():
    half = reader.MAX_EVENTS // 2
    midi = parse(b"\0\x90\x3c\x40" + b"\0\x3c\x40" * (half - 1) + b"\1\x80\x3c\0" + b"\0\x3c\0" * (half - 1))
    assert {(note.onset, note.duration) for note in midi.notes} == {(0, Fraction(1, 96))}


def test_paths_that_are_no_files(tmp_path):
    with pytest.raises(NumpyrnnError, match="it is a folder"):
        read_midi(tmp_path)
    with pytest.raises(NumpyrnnError, match=r"none\.mid could not be read: No such file"):
        read_midi(tmp_path / "none.mid")
    with pytest.raises(NumpyrnnError, match="could not be read"):
        read_midi(tmp_path / ("x" * 5000))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NumpyrnnError, match="a device or a pipe"):
        read_midi(tmp_path / "pipe")
    (tmp_path / "text.mid").write_text("la la la")
    with pytest.raises(NumpyrnnError, match=r"text\.mid must be a MIDI file"):
        read_midi(str(tmp_path / "text.mid"))


def only_refuses(data):
    """Whether the bytes are read; any other error than the one type fails the test."""
    try:
        midi = parse_midi(data, "x")
    except NumpyrnnError:
        return False
    assert all(0 <= note.onset <= note.onset + note.duration <= midi.length for note in midi.notes)
    return True


@given(st.binary(max_size=200))
def test_any_bytes(data):
    only_refuses(data)
    only_refuses(b"MThd\0\0\0\6" + data)
    only_refuses(song(data))
    only_refuses(song(b"\0\x90" + data, declared=2))


@given(st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(["set", "insert", "delete"]), st.integers(0, 255))))
def test_any_change_of_a_file(changes):
    data = bytearray(WHOLE)
    for place, what, byte in changes:
        at = place % (len(data) + 1)
        data[at : at + (what != "insert")] = b"" if what == "delete" else bytes([byte])
    only_refuses(bytes(data))
