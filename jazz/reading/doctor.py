"""A report on a MIDI file: its parts, which of them are chosen and why, and what would be learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from music.files import naming
from music.midi import as_tempo
from music.reader import ENCODING
from numpyrnn import NumpyrnnError
from numpyrnn.checks import KEPT, shown
from workbench.terminal import counted

from ..tunes import Tune
from .corpus import read_music
from .tracks import NO_CHORDS, RULED_OUT, Choice, Part, Score, bars_of, choose, parts_of, tune_of_midi

KINDS = {"C": "chord tones", "S": "scale tones", "A": "approach tones", "X": "other notes", "R": "rests"}
CLOSE = 1.0  # points; if the best part leads by less, the report names the option that chooses the next


def diagnose(
    path: Path,
    melody: str | None = None,
    chords: str | None = None,
    from_bar: int | None = None,
    to_bar: int | None = None,
    encoding: str = ENCODING,
) -> Iterator[str]:
    """Describe a MIDI file as training data.

    Parameters
    ----------
    path : MIDI file, or a written chorus
    melody, chords, from_bar, to_bar : see `tracks.choose` and `tracks.tune_of_midi`
    encoding : see `corpus.read_tunes`

    Yields
    ------
    str, lines of the report

    Raises
    ------
    NumpyrnnError
        if the file cannot be read or has nothing to learn from
    """
    midi = read_music(path, True, encoding)
    with naming(path):
        bars = bars_of(midi)
    meters = ", ".join(dict.fromkeys(f"{beats}/{unit}" for _, beats, unit in midi.meters))
    tempos = [as_tempo(tempo) for _, tempo in midi.tempos]
    speed = f"{tempos[0]}" if min(tempos) == max(tempos) else f"{min(tempos)} to {max(tempos)}"
    seconds = midi.seconds(midi.length)
    yield f"{shown(path, KEPT)}: {counted(len(bars), 'bar')} in {meters}, {speed} quarters a minute, {seconds:.0f} s."
    if midi.faults:
        yield "What is damaged in the file:"
        yield from (f"  {fault}" for fault in midi.faults)
    yield f"\n{'part':>4}  {'name':24}{'program':>8}{'notes':>7}{'bars':>6}{'pitches':>9}{'together':>10}"
    parts = parts_of(midi)
    for part in parts:
        pitches = [note.pitch for note in part.notes]
        program = "drums" if part.drums else str(part.program + 1)
        yield (
            f"{part.number:4}  {shown(part.name)[:23]:24}{program:>8}{len(part.notes):7}{part.bars_played(bars):6}"
            f"{f'{min(pitches)}-{max(pitches)}':>9}{part.polyphony:10.0%}"
        )

    def learned(melody: str | None, chords: str | None) -> tuple[Choice, Tune, list[str]]:
        choice = choose(midi, melody, chords)
        return choice, *tune_of_midi(midi, choice, path.stem, from_bar, to_bar)

    def instead(option: str, number: int) -> str:
        """The option that takes another part, and what it changes; empty if that part would not do."""
        wanted = {"melody": melody, "chords": chords} | {option: str(number)}
        try:
            then, _, left_out = learned(**wanted)
        except NumpyrnnError:
            return ""
        if f"part {then.chords}: {NO_CHORDS}" in left_out or path.suffix.lower() == ".txt":
            return ""  # a chorus is learned with the parts that it has
        words = f"; that is close: --{option} {number} takes it instead"
        if option == "melody" and then.chords != choice.chords:
            words += f", and the chords are then {f'part {then.chords}' if then.chords else 'estimated'}"
        return words

    with naming(path):
        choice, tune, left_out = learned(melody, chords)
    yield ""
    taken = {choice.melody.number, choice.chords.number if choice.chords else 0}
    free = taken if chords is not None else {choice.melody.number}
    yield from reasons("melody", choice.melody, melody is not None, choice.as_melody, free, instead)
    if choice.symbols:
        yield "Chords: the symbols that stand in the file as markers."
    elif choice.chords:
        yield from reasons("chords", choice.chords, chords is not None, choice.as_chords, taken, instead)
    else:
        others = any(not part.drums and part.number != choice.melody.number for part in parts)
        source = "all other parts" if others else "the melody"
        yield f"Chords: no part looks like them; they are estimated from {source}, bar by bar."
    values = [value for bar in tune.values() for value in bar]
    kinds = Counter(value.kind for value in values)
    shares = ", ".join(f"{name} {kinds[kind] / len(values):.0%}" for kind, name in KINDS.items())
    yield (
        f"\nTo be learned: {len(values):,} values, {len({str(value) for value in values})} of them different, "
        f"in {counted(len(tune.bars), 'bar')}; {shares}."
    )
    yield f"Left out: {'; '.join(left_out) or 'nothing.'}"


def reasons(
    what: str, part: Part, said: bool, scores: dict[int, Score], taken: set[int], instead: Callable[[str, int], str]
) -> Iterator[str]:
    """Explain the choice of a part: a line for each reason, and the next best part.

    Parameters
    ----------
    what : "melody" or "chords"
    part : Part, the chosen one
    said : bool, whether the user named the part
    scores : dict from part number to Score
    taken : set of int, numbers of parts that are not free
    instead : function from `what` and the number of a part to the words that say how to take it

    Yields
    ------
    str
    """
    if said:
        yield f"{what.capitalize()}: part {part}, as you said."
        return
    score = scores[part.number]
    yield f"{what.capitalize()}: part {part}, with {score.points:.1f} points, because"
    yield from (f"  {point}" for point in score.why)
    free = [number for number, other in scores.items() if number not in taken and other.points > RULED_OUT]
    if free:
        number = max(free, key=lambda number: scores[number].points)
        points = scores[number].points
        hint = instead(what, number) if score.points - points < CLOSE else ""
        yield f"  The next best is part {number}, with {points:.1f}{hint}."
