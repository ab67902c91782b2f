"""One bad event or chunk does not spoil the rest of a MIDI file: the music is read, and what was skipped is named."""

import random
import time
from collections import Counter
from io import BytesIO

import mido
import pytest
from test_midi_reader import END, chunk, parse, song, sounds

from jazz.reading.doctor import diagnose as jazz_doctor
from music import reader
from music.midi import Midi, Note, midi_bytes, parse_midi, read_midi
from numpyrnn import NumpyrnnError
from piano.doctor import diagnose as piano_doctor
from workbench.files import data_path

BEFORE = b"\0\x90\x3c\x40\x60\x80\x3c\0"
AFTER = b"\0\x90\x40\x40\x60\x80\x40\0" + END
NO_CHUNK = "there are bytes that belong to no chunk"
MUSIC = [(0, 96, 60), (96, 96, 64)]

SKIPPED = {  # an event that cannot be used, and what is said
    "meter of 2/2^33": (b"\0\xff\x58\4\2\x21\x18\x08", "a meter"),
    "meter without beats": (b"\0\xff\x58\4\0\2\x18\x08", "a meter"),
    "meter in 128ths": (b"\0\xff\x58\4\4\7\x18\x08", "a meter"),
    "short meter": (b"\0\xff\x58\1\4", "wrong length"),
    "tempo 0": (b"\0\xff\x51\3\0\0\0", "a tempo"),
    "short tempo": (b"\0\xff\x51\2\1\1", "wrong length"),
    "long tempo": (b"\0\xff\x51\4\7\xa1\x20\0", "wrong length"),
    "empty tempo": (b"\0\xff\x51\0", "wrong length"),
    "key of 99 sharps": (b"\0\xff\x59\2\x63\0", "a key"),
    "key of 8 flats": (b"\0\xff\x59\2\xf8\0", "a key"),
    "key without mode": (b"\0\xff\x59\2\0\2", "a key"),
    "short key": (b"\0\xff\x59\1\0", "wrong length"),
    "clock": (b"\0\xf8", "a live message"),
    "clocks": (b"\0\xf8\0\xf8\0\xfa", "a live message"),
    "sensing": (b"\0\xfe", "a live message"),
    "quarter frame": (b"\0\xf1\x10", "a system message"),
    "song position": (b"\0\xf2\x10\x10", "a system message"),
    "song select": (b"\0\xf3\x10", "a system message"),
    "undefined": (b"\0\xf4", "a system message"),
    "tune request": (b"\0\xf6", "a system message"),
    "high velocity": (b"\0\x90\x3d\xc8", "data byte over 127"),
    "high pitch": (b"\0\x90\xc8\x40", "data byte over 127"),
    "high program": (b"\0\xc0\xc8", "data byte over 127"),
    "exclusive without an end": (b"\0\xf0\3\x7e\x7f\x09", "has no end"),
    "exclusive with its end not counted": (b"\0\xf0\4\x7e\x7f\x09\1\xf7", "has no end"),
    "exclusive without a length": (b"\0\xf0\x7e\x7f\x09\1\xf7", "length is wrong"),
    "exclusive that is too long": (b"\0\xf0\xff\x7f\x7e\x7f\xf7", "length is wrong"),
    "text that is too long": (b"\0\xff\1\xff\x7f", "length is wrong"),
    "long number": (b"\x80\x80\x80\x80\0", "more than 4 bytes"),
}


@pytest.mark.parametrize("case", SKIPPED)
def test_an_event_that_cannot_be_used_is_skipped_and_the_music_around_it_is_read(case):
    event, what = SKIPPED[case]
    midi = parse(BEFORE + event + AFTER)
    assert sounds(midi) == MUSIC
    assert (midi.tempos, midi.meters) == ([(0, 500_000)], [(0, 4, 4)])
    assert len(midi.faults) == 1
    assert what in midi.faults[0]
    assert midi.faults[0].startswith("track 1, tick 96: ")


@pytest.mark.parametrize("case", SKIPPED)
def test_both_doctors_say_what_was_skipped_and_where(case, tmp_path):
    event, what = SKIPPED[case]
    phrase = b"".join(bytes([0, 0x90, 60 + i % 12, 64, 0x60, 0x80, 60 + i % 12, 0]) for i in range(32))
    (tmp_path / "a.mid").write_bytes(song(END, phrase + event + phrase + END))
    for lines in (jazz_doctor(tmp_path / "a.mid"), piano_doctor([tmp_path], cache=tmp_path / "cache")):
        assert any(what in line for line in lines if "track 2, tick 3072" in line)
    assert any(what in line for line in piano_doctor([tmp_path], cache=tmp_path / "cache"))  # from the cache


@pytest.mark.parametrize(
    "case", ["quarter frame", "song position", "tune request", "clock", "tempo 0", "high velocity"]
)
def test_many_bad_events_lose_nothing_between_them(case):
    notes = [b"\x08\x90" + bytes([40 + i, 64]) + b"\x08\x80" + bytes([40 + i, 0]) for i in range(60)]
    midi = parse(SKIPPED[case][0].join(notes) + END)
    assert sounds(midi) == [(8 + 16 * i, 8, 40 + i) for i in range(60)]
    assert midi.faults[0].endswith("(59 times)")


def test_velocities_over_127_under_running_status_lose_only_their_notes():
    track = b"\0\x90\x3c\xc8" + b"".join(bytes([8, 50 + i, 0xC8 if i % 2 else 64, 8, 50 + i, 0]) for i in range(40))
    assert sounds(parse(track + END)) == [(8 + 16 * i, 8, 50 + i) for i in range(0, 40, 2)]


def test_a_live_message_between_the_time_and_the_status_of_an_event():
    assert sounds(parse(BEFORE + AFTER.replace(b"\0\x90", b"\0\xf8\x90", 1))) == MUSIC


def test_data_without_a_status_is_skipped():
    midi = parse(b"\0\x3c\x40" + BEFORE + AFTER)
    assert sounds(midi) == MUSIC
    assert midi.faults == ["track 1, tick 0: data without a status byte is skipped"]


def test_running_status_after_a_meta_event_is_read_and_told():
    midi = parse(b"\0\x90\x3c\x40\0\xff\1\1x\x60\x3c\0" + AFTER)
    assert sounds(midi) == MUSIC
    assert midi.faults == ["track 1, tick 96: running status goes on after another event, which is accepted"]


def test_a_meter_of_a_wrong_length_is_read_and_told():
    midi = parse(b"\0\xff\x58\5\3\2\x18\x08\0" + BEFORE + AFTER)
    assert midi.meters == [(0, 3, 4)]
    assert midi.faults == ["track 1, tick 0: a meta event has a wrong length"]


def test_a_system_exclusive_message_in_packets_is_no_fault():
    packets = b"\0\xf0\3\x43\x12\0\x81\0\xf7\2\x43\x12\0\xf7\2\x43\xf7"
    midi = parse(packets + BEFORE + AFTER)
    assert ([note[2] for note in sounds(midi)], midi.faults) == ([60, 64], [])


def test_a_track_without_an_end_is_told_once():
    assert parse(BEFORE).faults == ["track 1, tick 96: the track has no End of Track"]
    assert parse(BEFORE + b"\0\x90").faults == ["track 1, tick 96: the track ends within an event"]


def test_a_key_of_seven_sharps_or_flats_is_no_fault():
    assert parse(b"\0\xff\x59\2\7\0\0\xff\x59\2\xf9\1" + END).faults == []


def test_faults_are_counted_and_only_the_first_kinds_are_named():
    assert parse(b"\0\xf8" * 1234 + END).faults == ["track 1, tick 0: a live message is skipped (1,234 times)"]
    cases = ("tempo 0", "meter without beats", "key of 8 flats", "clock", "tune request", "high pitch", "long number")
    many = b"".join(SKIPPED[case][0] + BEFORE for case in cases)
    faults = parse(many + AFTER).faults
    assert len(faults) == reader.MOST_FAULTS + 1
    assert faults[-1] == "and faults of other kinds"


# chunks


def told(data):
    """The notes and the faults of a file's bytes."""
    midi = parse_midi(data, "x")
    return sounds(midi), "\n".join(midi.faults)


def test_chunks_that_are_missing_too_many_unknown_or_followed_by_other_bytes_are_told():
    whole = song(BEFORE + AFTER)
    for data, words in (
        (song(BEFORE + AFTER, declared=9), "it declares 9 tracks, the file has 1"),
        (whole + b"\0", NO_CHUNK),
        (whole + bytes(range(256)), NO_CHUNK),
        (whole + b"hello, this is text", NO_CHUNK),
        (whole[:14] + chunk(b"XFIH", b"???") + whole[14:], "chunk 'XFIH': it is not a track and is skipped"),
        (song(BEFORE + AFTER, header=b"more"), "it has 10 bytes instead of 6"),
        (song(BEFORE + AFTER + b"rest"), "there are bytes after the end of the track"),
    ):
        assert told(data)[0] == MUSIC
        assert words in told(data)[1]
    assert told(whole) == (MUSIC, "")


@pytest.mark.parametrize("rest", [b"\0", b"XX", b"TAG" + bytes(125), bytes(range(256))])
def test_bytes_between_and_after_tracks_of_the_right_length_are_told_once(rest):
    first, second = song(BEFORE + END, declared=2), chunk(b"MTrk", b"\x60" + AFTER[1:])
    assert told(first + rest + second) == (MUSIC, f"byte {len(first)}: {NO_CHUNK}")
    assert told(first + second + rest) == (MUSIC, f"byte {len(first + second)}: {NO_CHUNK}")


@pytest.mark.parametrize("size", [0, 14, 1000, 0xFFFFFFFF])
def test_a_wrong_length_in_riff_loses_nothing(size):
    riff = b"RIFF\0\0\0\0RMIDdata" + size.to_bytes(4, "little") + song(BEFORE + AFTER)
    assert told(riff) == (MUSIC, "the RIFF chunk of the music: its length is wrong")


def test_more_tracks_than_declared_are_read():
    notes, words = told(song(BEFORE + END, b"\x60" + AFTER[1:], declared=1))
    assert notes == MUSIC
    assert "it declares 1 tracks, the file has 2" in words


@pytest.mark.parametrize("size", [0, 3, 9, 18, 40, 1000, 0xFFFFFFFF])
def test_a_wrong_length_of_a_chunk_loses_nothing(size):
    data = song(BEFORE + END, b"\x60" + AFTER[1:])
    wrong = data[:18] + size.to_bytes(4, "big") + data[22:]
    assert told(wrong)[0] == MUSIC
    assert "its length is wrong, or what follows is no chunk" in told(wrong)[1]
    assert told(data[:4] + size.to_bytes(4, "big") + data[8:])[0] == MUSIC  # of the header


def test_a_file_cut_anywhere_is_read_as_far_as_it_goes():
    whole = song(BEFORE + AFTER)
    for end in range(22, len(whole)):
        notes, words = told(whole[:end])
        assert [note[::2] for note in notes] == [note[::2] for note in MUSIC[: len(notes)]]
        assert words
    assert told(whole[:-1])[0] == MUSIC


def test_names_in_other_encodings(tmp_path):
    for encoding, name in (("shift_jis", "ピアノ"), ("gbk", "钢琴"), ("cp1251", "Пиано"), ("latin-1", "Flöte")):
        content = name.encode(encoding)
        data = song(b"\0\xff\3" + bytes([len(content)]) + content + BEFORE + AFTER)
        assert parse_midi(data, "x", encoding).names == [name]
        (tmp_path / "a.mid").write_bytes(data)
        assert read_midi(tmp_path / "a.mid", encoding).names == [name]
    utf8 = song(b"\0\xff\3\2\xc3\xa9" + END)
    assert parse_midi(utf8, "x", "shift_jis").names == ["é"]  # UTF-8 is tried first


NO_ENCODINGS = ["", "hex", "zlib", "idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "rot13"]


@pytest.mark.parametrize("name", [*NO_ENCODINGS, "\0", "é", "\ud800", "../latin-1", "x" * 10_000])
def test_only_encodings_of_text_are_accepted(name):
    with pytest.raises(NumpyrnnError, match=r"^an encoding must be one of text, such as latin-1"):
        parse_midi(song(END), "x", name)


# any file


def spliced(data, rng):
    """The file with chunks dropped, doubled, exchanged or cut."""
    starts = [at for at in range(len(data)) if data[at : at + 4] in (b"MThd", b"MTrk")]
    chunks = [data[start:end] for start, end in zip(starts, [*starts[1:], len(data)])]
    chosen = [rng.choice(chunks) for _ in range(rng.randint(1, 5))]
    sizes = [rng.randint(1, len(part)) if rng.random() < 0.3 else len(part) for part in chosen]
    return b"".join([chunks[0], *(part[:size] for part, size in zip(chosen, sizes))])


def mutant(data, rng):
    changed = bytearray(spliced(data, rng) if rng.random() < 0.2 else data)
    for _ in range(rng.randint(1, 8)):
        at, n = rng.randrange(len(changed)), rng.randint(1, 6)
        what = rng.randrange(3)
        changed[at : at + n * (what != 1)] = rng.randbytes(n) if what < 2 else b""
    return bytes(changed)


@pytest.mark.torture
def test_any_mutant_of_a_file_is_read_or_refused_in_one_line(rounds, tell, tmp_path):
    sources = [path.read_bytes() for path in sorted(data_path("piano").glob("*.mid"))[:3]]
    sources += [song(BEFORE + b"".join(event for event, _ in SKIPPED.values()) + AFTER, BEFORE + AFTER)]
    n, results, worst, path = rounds(6, 150), Counter(), 0.0, tmp_path / "mutant.mid"
    for seed in range(n):
        rng = random.Random(seed)
        data = mutant(rng.choice(sources), rng)
        path.write_bytes(data)
        for look in (
            lambda data=data: parse_midi(data, "x"),
            lambda: list(jazz_doctor(path)),
            lambda: list(piano_doctor([path])),
        ):
            began = time.perf_counter()
            try:
                look()
                results["read"] += 1
            except NumpyrnnError as error:
                results["refused" if len(str(error).splitlines()) == 1 else "in several lines"] += 1
            worst = max(worst, time.perf_counter() - began)
    assert results["read"] > results["refused"]
    assert set(results) <= {"read", "refused"}
    assert worst < 120  # hanging
    tell(f"{n} mutants of MIDI files by parse_midi and both doctors: {dict(results)}, the slowest {worst:.2f} s")


@pytest.mark.torture
def test_one_changed_byte_loses_few_notes(rounds, tell):
    data = data_path("piano/bethena.mid").read_bytes()
    notes = Counter((note.pitch, note.duration) for note in parse_midi(data, "x").notes)
    n, shares = rounds(10, 300), []
    for seed in range(n):
        rng = random.Random(seed)
        at = rng.randrange(22, len(data))
        wrong = data[:at] + bytes([data[at] ^ 0x80]) + data[at + 1 :]
        try:
            found = Counter((note.pitch, note.duration) for note in parse_midi(wrong, "x").notes)
        except NumpyrnnError:  # a pause became longer than a file may be
            continue
        shares.append((found & notes).total() / notes.total())
    assert len(shares) > 0.9 * n
    assert sum(share > 0.95 for share in shares) >= 0.97 * len(shares)
    tell(f"{n} bytes with the high bit changed: {len(shares)} files read, with {min(shares):.1%} of the notes or more")


def random_file(rng):
    """A file that mido writes, and its notes as (track, channel, pitch, onset, end) in ticks, by counting along."""
    file, notes = mido.MidiFile(type=1, ticks_per_beat=rng.choice([24, 96, 480])), []
    for number in range(rng.randint(1, 3)):
        track, now, sounding = mido.MidiTrack(), 0, {}
        for _ in range(rng.randint(0, 60)):
            step = rng.choice([0, 1, 5, 60, 300])
            now += step
            voice = rng.randrange(3), rng.randrange(58, 62)
            kind = rng.randrange(8)
            if kind == 0:
                track.append(mido.Message("control_change", control=7, value=rng.randrange(128), time=step))
            elif kind == 1:
                track.append(mido.MetaMessage("text", text="x" * rng.randrange(200), time=step))
            elif kind == 2:
                track.append(mido.Message("sysex", data=[1] * rng.randrange(9), time=step))
            elif voice in sounding:
                off = rng.choice([("note_off", 64), ("note_on", 0)])
                track.append(mido.Message(off[0], channel=voice[0], note=voice[1], velocity=off[1], time=step))
                notes.append((number, *voice, sounding.pop(voice), now))
            else:
                track.append(mido.Message("note_on", channel=voice[0], note=voice[1], velocity=9, time=step))
                sounding[voice] = now
        notes += [(number, *voice, onset, now) for voice, onset in sounding.items()]
        file.tracks.append(track)
    written = BytesIO()
    file.save(file=written)
    return written.getvalue(), file.ticks_per_beat, notes


@pytest.mark.torture
def test_what_mido_writes_is_read_without_a_fault(rounds, tell):
    n, total = rounds(40, 2000), 0
    for seed in range(n):
        data, ticks, notes = random_file(random.Random(seed))
        midi = parse_midi(data, "x")
        found = [(m.track, m.channel, m.pitch, m.onset * ticks, (m.onset + m.duration) * ticks) for m in midi.notes]
        assert sorted(found) == sorted(notes)
        assert midi.faults == []
        total += len(notes)
    tell(f"{n} random files written by mido: {total:,} notes read as written")


# files that are made to take long: the work is bounded by the events, not by bars, ticks or their product


def test_bars_are_bounded(tmp_path):
    tiny = b"\0\xff\x58\4\1\6\x18\x08" + b"\0\x90\x3c\x40\x86\x8d\x20\x3c\0"
    (tmp_path / "a.mid").write_bytes(song(tiny + END, division=1))
    with pytest.raises(NumpyrnnError, match=r"at most 50000 bars, it has more: its bars of 1/64 last 100000 quarters$"):
        list(jazz_doctor(tmp_path / "a.mid"))
    assert len(read_midi(tmp_path / "a.mid").notes) == 1


def test_many_notes_at_one_tick_with_different_ends_and_many_parts(tmp_path):
    stack = b"".join(bytes([0, 0x91, 30 + i % 90, 64]) for i in range(9000))
    stack += b"".join(bytes([1, 0x81, 30 + i % 90, 0]) for i in range(9000))
    line = b"".join(bytes([0, 0x90, 70 + i % 9, 64, 48, 0x80, 70 + i % 9, 0]) for i in range(64))
    others = [b"".join(bytes([0, 0x90 | c, 60 + c, 64]) for c in range(9)) + b"\x60\xff\x2f\0"] * 200
    (tmp_path / "a.mid").write_bytes(song(line + END, stack + END, *others, division=480))
    with pytest.raises(NumpyrnnError) as caught:
        list(jazz_doctor(tmp_path / "a.mid", melody="flute"))
    assert len(str(caught.value)) < 400  # it does not list all parts
    assert any("To be learned" in line for line in jazz_doctor(tmp_path / "a.mid", melody="1"))


@pytest.mark.parametrize(
    "track",
    [
        b"\0\xf1\xf1" + b"\x81\1\1" * 1_000_000,
        b"\0\xf0\xff\xff\xff\x7f" * 100_000,
        b"\0\x90\x3c\xc8" * 60_000 + b"\0\xf8" * 60_000,
        b"\0" + b"\xf8" * 5_000_000,
    ],
    ids=range(4),
)
def test_garbage_is_read_or_refused(track):
    try:
        said = "".join(parse(track + BEFORE + AFTER).faults)
    except NumpyrnnError as error:
        said = str(error)
    assert "skipped" in said or "at most" in said


def test_the_faults_of_a_file_do_not_count_when_music_is_compared():
    assert Midi([Note(0, 1, 60)], faults=["x"]) == Midi([Note(0, 1, 60)])
    assert parse_midi(midi_bytes(Midi([])), "x").faults == []
