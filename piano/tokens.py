"""Piano music as tokens: the notes that begin together are one token, a pitch name or a chord's pitch classes."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cache, lru_cache
from itertools import groupby, pairwise
from operator import attrgetter

from music.midi import DRUMS, Midi
from numpyrnn import NumpyrnnError

SPELLINGS = ("C", "C#", "D", "E-", "E", "F", "F#", "G", "G#", "A", "B-", "B")  # as in music21; "-" is a flat
NAMES = {pitch: f"{SPELLINGS[pitch % 12]}{pitch // 12 - 1}" for pitch in range(21, 109)}  # a piano's 88 keys
PITCHES = {name: pitch for pitch, name in NAMES.items()}
CLASSES = {str(pitch_class): pitch_class for pitch_class in range(12)}
BASS = 48  # C3, the lowest pitch of a chord
GRID = tuple(Fraction(n, 48) for n in (3, 6, 8, 12, 16, 24, 32, 36, 48, 72, 96, 144, 192))  # quarters: 1/16 to 4
LENGTHS = {str(length): length for length in GRID}
STEP = Fraction(1, 24)  # quarters; onsets are moved to multiples of it, which hold 32nds and triplets
WAIT = "wait"  # the name of a token that only takes time: no note begins
WAITS = sorted({STEP, *(length for length in GRID if length % STEP == 0)}, reverse=True)
GAPS = {str(gap): gap for gap in (Fraction(n, 48) for n in range(4 * 48 + 1))}
_MEANS_SQUARED = [low * high for low, high in pairwise(GRID)]  # squares of geometric means; exact, unlike the means


def tokens_of(midi: Midi, rhythm: bool = False) -> list[str]:
    """The tokens of a piece, one for each time at which notes begin.

    A single pitch is written as its name and octave, "E-5" (60 is "C4"). Several are written as their pitch classes in
    normal order, "0.4.7"; one pitch class in several octaves is "0". All instruments count, because many files name
    none. Drums and pitches outside the piano's range do not count.

    Parameters
    ----------
    midi : Midi
    rhythm : bool, default False
        Add the duration of the longest note and the time to the next token, "E-5|1/2|1/4", in quarters. The duration is
        rounded to `GRID`. The times are the differences of onsets that are each rounded to a multiple of `STEP`, so
        rounding errors do not add up; a time is 0 if two onsets are rounded to the same one. After the last token it is
        the time to the end of the last note. If the time exceeds 4 quarters, `waits` follow. They also come first if
        the first onset is between two beats; whole beats before it are left out.

    Returns
    -------
    list of str, in the order of time
    """
    notes = (note for note in midi.notes if note.channel != DRUMS and note.pitch in NAMES)
    together = [(onset, list(group)) for onset, group in groupby(notes, key=attrgetter("onset"))]
    names = [_name({note.pitch for note in group}) for _, group in together]
    if not rhythm or not names:
        return names
    durations = [max(note.duration for note in group) for _, group in together]
    end = max(onset + duration for (onset, _), duration in zip(together, durations, strict=True))
    onsets = [round(onset / STEP) * STEP for onset in (*(onset for onset, _ in together), end)]
    tokens = waits(onsets[0] % 1)
    for name, duration, (onset, following) in zip(names, durations, pairwise(onsets), strict=True):
        gap = following - onset
        tokens += [f"{name}|{snap(duration)}|{min(gap, GRID[-1])}", *waits(gap - GRID[-1], duration - GRID[-1])]
    return tokens


def waits(time: Fraction, held: Fraction = Fraction(0)) -> list[str]:
    """Fill a time in which no note begins.

    Parameters
    ----------
    time : Fraction, quarters; what exceeds a multiple of `STEP` is not filled, nor is a negative time
    held : Fraction, default 0, how long the notes before it continue to sound

    Returns
    -------
    list of str, such as "wait|1/2|1/2" and "wait|0|1/4" for a time of 3/4 of which 1/2 is held
    """
    tokens, held = [], min(time, held) // STEP * STEP
    for left, is_held in ((held, 1), (time - max(held, Fraction(0)), 0)):
        for length in WAITS if left > 0 else ():
            n, left = divmod(left, length)
            tokens += [f"{WAIT}|{is_held * length}|{length}"] * n
    return tokens


def _name(pitches: set[int]) -> str:
    """The token of pitches that begin together."""
    return NAMES[min(pitches)] if len(pitches) == 1 else _chord(pitches)


def _chord(pitches: Iterable[int]) -> str:
    """The token of a chord, its pitch classes in normal order."""
    return ".".join(map(str, normal_order(frozenset(pitch % 12 for pitch in pitches))))


@cache  # there are 4,095 sets
def normal_order(pitch_classes: frozenset[int]) -> tuple[int, ...]:
    """The normal order of a set of pitch classes: its most compact rotation.

    It is the rotation of the ascending order with the smallest span. Ties are broken by the smallest distance from the
    first to the second pitch class, then to the third and so on, and last by the lowest first pitch class. This is
    Forte's rule ("The Structure of Atonal Music", 1973), which music21 follows. Rahn's rule breaks ties from the end.

    Parameters
    ----------
    pitch_classes : frozenset of int, 0 to 11, not empty

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> normal_order(frozenset({0, 4, 9}))
    (9, 0, 4)
    """
    ascending = tuple(sorted(pitch_classes))
    rotations = [ascending[i:] + ascending[:i] for i in range(len(ascending))]

    def spread(order: tuple[int, ...]) -> tuple[int, list[int], int]:
        above = [(pitch_class - order[0]) % 12 for pitch_class in order]
        return above[-1], above, order[0]

    return min(rotations, key=spread)


@lru_cache(4096)
def snap(length: Fraction) -> Fraction:
    """The length of `GRID` that is nearest by ratio; the shortest for 0. There are no ties.

    Parameters
    ----------
    length : Fraction, quarters, 0 or more

    Returns
    -------
    Fraction
    """
    return GRID[bisect_left(_MEANS_SQUARED, length * length)]


def split_token(token: str) -> tuple[str, Fraction | None, Fraction | None]:
    """Split a token into its name, its duration and the time to the next token.

    Parameters
    ----------
    token : str, with or without rhythm

    Returns
    -------
    name : str
    duration, gap : Fraction, quarters; None if the token has no rhythm
        The gap is one of `GAPS`, multiples of 1/48 up to 4. The duration is one of `GRID`, but any of `GAPS` for a
        wait: by so much the notes before it are prolonged.

    Raises
    ------
    NumpyrnnError
        if it is not a token that `tokens_of` could write
    """
    name, *lengths = token.split("|")
    pitches_of(name)
    if not lengths:
        return name, None, None
    durations = GAPS if name == WAIT else LENGTHS
    if len(lengths) != 2 or lengths[0] not in durations or lengths[1] not in GAPS:
        example = f"E-5|1/2|1/4, with a duration of {' '.join(LENGTHS)} and then 0 to 4 in steps of 1/48"
        raise NumpyrnnError(f"a token with rhythm must be like {example}, got {token[:60]!r}")
    return name, durations[lengths[0]], GAPS[lengths[1]]


def pitches_of(name: str) -> list[int]:
    """The pitches that a token stands for.

    Parameters
    ----------
    name : str, a token without rhythm

    Returns
    -------
    list of int, ascending
        A chord is in close position, its first pitch between 48 (C3) and 59. A chord of one pitch class is an octave. A
        wait has none.

    Raises
    ------
    NumpyrnnError
        if it is neither a pitch of the piano, such as "E-5", nor pitch classes in normal order, such as "0.4.7"
    """
    if name in PITCHES:
        return [PITCHES[name]]
    if name == WAIT:
        return []
    classes = [CLASSES.get(part, -1) for part in name.split(".")]
    if -1 in classes or _chord(classes) != name:
        expected = "a pitch of the piano, such as E-5, or pitch classes in normal order, such as 0.4.7"
        raise NumpyrnnError(f"a token must be {expected}, got {name[:60]!r}")
    if len(classes) == 1:
        return [BASS + classes[0], BASS + classes[0] + 12]
    return [BASS + classes[0] + (pitch_class - classes[0]) % 12 for pitch_class in classes]


def transpose(token: str, semitones: int) -> str | None:
    """Transpose a token.

    Parameters
    ----------
    token : str, with or without rhythm
    semitones : int, negative for downwards

    Returns
    -------
    str, with the same rhythm; None if a single pitch would leave the piano. A chord always fits, as it has no octave,
        and a wait stays as it is.

    Raises
    ------
    NumpyrnnError
        if `split_token` refuses the token
    """
    name = split_token(token)[0]
    if name == WAIT:
        return token
    moved = [pitch + semitones for pitch in pitches_of(name)]
    # a chord needs its normal order again: the lowest pitch class breaks ties, and it can change
    new = NAMES.get(moved[0]) if name in PITCHES else _chord(moved)
    return None if new is None else new + token[len(name) :]


def name_of(token: str) -> str:
    """A token without its rhythm."""
    return token.partition("|")[0]


def count_names(pieces: Iterable[Sequence[str]]) -> Counter[str]:
    """How often each name occurs in all pieces together, whatever the rhythm. Waits do not count."""
    return Counter(name for piece in pieces for name in map(name_of, piece) if name != WAIT)


def keep_common(pieces: Sequence[Sequence[str]], min_count: int) -> list[list[str]]:
    """Drop rare tokens.

    Parameters
    ----------
    pieces : lists of tokens, with or without rhythm
    min_count : int
        A token is kept if its name, whatever the rhythm, occurs at least this often in all pieces together.

    Returns
    -------
    list of lists of tokens, one per piece; some may be empty
    """
    counts = count_names(pieces)
    return [[token for token in piece if counts[name_of(token)] >= min_count] for piece in pieces]


def common_rhythms(pieces: Sequence[Sequence[str]], min_count: int) -> list[list[str]]:
    """Replace rare rhythms by the commonest rhythm of the same name.

    After `keep_common` with the same `min_count`, every token then occurs at least `min_count` times. Tokens without
    rhythm do not change.

    Parameters
    ----------
    pieces : lists of tokens
    min_count : int
        A token is kept as it is if it occurs at least this often in all pieces together.

    Returns
    -------
    list of lists of tokens, of the same lengths
    """
    counts = Counter(token for piece in pieces for token in piece)
    usual = commonest(counts)
    return [[token if counts[token] >= min_count else usual[name_of(token)] for token in piece] for piece in pieces]


def commonest(counts: Mapping[str, int]) -> dict[str, str]:
    """The commonest token of each name; of equally common ones the last in alphabetical order."""
    return {name_of(token): token for token in sorted(counts, key=lambda token: (counts[token], token))}
