"""Notes end where their note-offs say, and a lost note-off lengthens no other note."""

from hypothesis import given
from hypothesis import strategies as st
from test_midi_reader import END, parse, song, sounds

from music.midi import parse_midi
from music.pairing import end_notes


def ends(text, last=99):
    """The notes of a text such as "+1 -2": strikes and note-offs, each with its tick."""
    events = [[int(word[1:]), -1] if word[0] == "+" else [int(word[1:])] for word in text.split()]
    end_notes(events, last)
    return [tuple(event) for event in events if len(event) > 1]


def test_notes_that_overlap_end_in_the_order_in_which_they_began():
    assert ends("+0 +1 -2 -3") == [(0, 2), (1, 3)]
    assert ends("+0 +1 -2 +3 -4 -5") == [(0, 2), (1, 4), (3, 5)]


def test_a_note_whose_note_off_is_lost_ends_when_its_pitch_is_struck_again():
    assert ends("+0 +4 -5 +8 -9 +12 -13") == [(0, 4), (4, 5), (8, 9), (12, 13)]
    assert ends("+0 -1 +4 +8 -9") == [(0, 1), (4, 8), (8, 9)]
    assert ends("+0 +1 +2 +3") == [(0, 1), (1, 2), (2, 3), (3, 99)]


def test_a_note_whose_note_off_is_lost_and_that_is_not_struck_again_ends_with_the_track():
    assert ends("+0 -1 +4") == [(0, 1), (4, 99)]


def test_overlaps_before_and_after_a_lost_note_off_stay():
    overlap, later = [(0, 2), (1, 3)], [(20, 22), (21, 23)]
    assert ends("+0 +1 -2 -3 +10 +12 -13") == [*overlap, (10, 12), (12, 13)]
    assert ends("+10 +12 -13 +20 +21 -22 -23") == [(10, 12), (12, 13), *later]


def test_note_offs_without_a_note_are_ignored():
    assert ends("-0 +1 -2 -3 -3 +4 +6 -7") == [(1, 2), (4, 6), (6, 7)]


def test_a_note_off_at_the_tick_of_the_next_note_ends_the_note_before_wherever_it_stands():
    assert ends("+0 +4 -4 +8 -8") == ends("+0 -4 +4 -8 +8") == [(0, 4), (4, 8), (8, 99)]


def test_a_note_may_have_no_length():
    assert ends("+1 -1 +3 -4") == [(1, 1), (3, 4)]
    assert ends("+0 +4 -4 -4") == [(0, 4), (4, 4)]


@st.composite
def voices(draw):
    """Strikes and note-offs at ticks that do not fall."""
    steps = draw(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=30))
    tick, events = 0, []
    for step, strike in steps:
        tick += step
        events.append([tick, -1] if strike else [tick])
    return events, tick + 1


def oracle(events, last):
    """The ends by another way: trying which notes have a note-off, and counting up from each note."""
    ordered = []  # note-offs before the notes of their tick, as far as older notes sound
    for tick in sorted({event[0] for event in events}):
        older = sum(1 if len(event) > 1 else -1 for event in ordered)
        now = [event for event in events if event[0] == tick]
        strikes = []
        for event in now:
            if len(event) > 1:
                strikes.append(event)
            elif older:
                older -= 1
                ordered.append(event)
            elif strikes:
                strikes.pop(0)[1] = tick
        ordered += strikes

    def is_lost(place):
        depth = [sum(1 if len(event) > 1 else -1 for event in ordered[place:end]) for end in range(place, len(ordered))]
        return 0 not in [*depth[1:], sum(1 if len(event) > 1 else -1 for event in ordered[place:])]

    kept, offs = [], []
    for place, event in enumerate(ordered):
        if len(event) == 1:
            offs.append(event[0])
        elif is_lost(place):
            event[1] = next((later[0] for later in ordered[place + 1 :] if len(later) > 1), last)
        else:
            kept.append(event)
    for note, off in zip(kept, offs, strict=True):
        note[1] = off


@given(voices())
def test_any_strikes_and_note_offs_pair_as_an_oracle_pairs_them(voice):
    events, last = voice
    expected = [list(event) for event in events]
    oracle(expected, last)
    end_notes(events, last)
    assert events == expected


@given(voices())
def test_notes_end_within_the_track_and_every_note_off_is_used_once(voice):
    events, last = voice
    end_notes(events, last)
    notes = [event for event in events if len(event) > 1]
    assert all(onset <= end <= last for onset, end in notes)
    if sum(len(event) > 1 for event in events) == len(events):
        assert [end for _, end in notes] == [*(onset for onset, _ in notes[1:]), *[last][: len(notes)]]


# in files


def test_a_strike_without_velocity_is_a_note_off():
    assert sounds(parse(b"\0\x90\x3c\x40\x10\x3c\0\0\x3c\x40\x10\x80\x3c\x40" + END)) == [(0, 16, 60), (16, 16, 60)]


def test_the_rest_of_a_track_keeps_its_durations_when_any_one_note_off_is_lost():
    whole = [b"\0\x90\x3c\x40" if i % 2 == 0 else b"\x08\x80\x3c\0\x08\xb0\x07\x40" for i in range(40)]
    expected = [(16 * i, 8, 60) for i in range(20)]
    assert sounds(parse(b"".join(whole) + END)) == expected
    for lost in range(20):
        events = [*whole]
        events[2 * lost + 1] = b"\x08\xb0\x07\x40\x08\xb0\x07\x40"
        found = sounds(parse(b"".join(events) + END))
        assert [note for i, note in enumerate(found) if i != lost] == expected[:lost] + expected[lost + 1 :]
        assert found[lost] == (16 * lost, 16, 60)  # until the next strike, or the end


def test_other_channels_tracks_and_pitches_do_not_count():
    held = b"\0\x90\x3c\x40"
    others = b"\x10\x91\x3c\x40\0\x90\x3d\x40\x10\x81\x3c\0\0\x80\x3d\0\x40\x80\x3c\0"
    midi = parse(held + others + END, b"\x20" + held[1:] + b"\x10\x80\x3c\0" + END)
    assert sounds(midi)[0] == (0, 96, 60)


def test_all_notes_off_ends_the_notes_of_its_channel_in_all_tracks():
    for controller in (120, 123, 124, 125, 126, 127):
        notes = b"\0\x90\x3c\x40\0\x91\x3d\x40\x40\x90\x3c\x40\x20\xff\x2f\0"
        off = bytes([0x30, 0xB0, controller, 0]) + b"\x10\xb0\x40\0" + END
        assert sounds(parse(notes, off)) == [(0, 48, 60), (0, 96, 61), (64, 32, 60)]
        assert sounds(parse(notes.replace(b"\x40\x90", b"\x30\xb0" + bytes([controller, 0]) + b"\x10\x90"))) == [
            (0, 48, 60),
            (0, 96, 61),
            (64, 32, 60),
        ]
    assert sounds(parse(b"\0\x90\x3c\x40\x10\xb0\x79\0\x10\x80\x3c\0" + END)) == [(0, 32, 60)]  # another controller


def test_all_notes_off_spares_the_notes_that_begin_with_it():
    assert sounds(parse(b"\0\xb0\x7b\0\0\x90\x3c\x40\x10\x80\x3c\0" + END)) == [(0, 16, 60)]
    assert sounds(parse(b"\0\x90\x3c\x40\0\xb0\x7b\0\x10\x80\x3c\0" + END)) == [(0, 16, 60)]


def test_a_real_file_is_read_as_by_its_note_offs(shared_data):
    data = (shared_data / "original_metheny.mid").read_bytes()
    assert parse_midi(data, "x").faults == []
    assert parse_midi(song(END), "x").faults == []
