"""A report on a MIDI file: its parts, which of them are chosen and why, and what would be learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from music.files import naming
from music.midi import as_tempo
from music.reader import ENCODING
from numpyrnn.checks import KEPT, shown

from .corpus import read_music
from .tracks import Part, Score, bars_of, choose, parts_of, tune_of_midi

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
    yield f"{shown(path, KEPT)}: {len(bars)} bars in {meters}, {speed} quarters a minute, {seconds:.0f} s."
    if midi.faults:
        yield "What is damaged in the file:"
        yield from (f"  {fault}" for fault in midi.faults)
    yield f"\n{'part':>4}  {'name':24}{'program':>8}{'notes':>7}{'bars':>6}{'pitches':>9}{'together':>10}"
    for part in parts_of(midi):
        pitches = [note.pitch for note in part.notes]
        program = "drums" if part.drums else str(part.program + 1)
        yield (
            f"{part.number:4}  {shown(part.name)[:23]:24}{program:>8}{len(part.notes):7}{part.bars_played(bars):6}"
            f"{f'{min(pitches)}-{max(pitches)}':>9}{part.polyphony:10.0%}"
        )
    with naming(path):
        choice = choose(midi, melody, chords)
        tune, left_out = tune_of_midi(midi, choice, path.stem, from_bar, to_bar)
    yield ""
    yield from reasons("Melody", choice.melody, choice.as_melody, said=melody is not None)
    if choice.chords:
        yield from reasons("Chords", choice.chords, choice.as_chords, said=chords is not None)
    else:
        yield "Chords: no part looks like them; they are estimated from all other parts, bar by bar."
    values = [value for bar in tune.values() for value in bar]
    kinds = Counter(value.kind for value in values)
    shares = ", ".join(f"{kind} {kinds[kind] / len(values):.0%}" for kind in "CSAXR")
    yield (
        f"\nTo be learned: {len(values):,} values, {len({str(value) for value in values})} of them different, "
        f"in {len(tune.bars)} bars; {shares}."
    )
    yield f"Left out: {'; '.join(left_out) or 'nothing.'}"


def reasons(what: str, part: Part, scores: dict[int, Score], said: bool) -> Iterator[str]:
    """Explain the choice of a part: a line for each reason, and the next best part.

    Parameters
    ----------
    what : "Melody" or "Chords"
    part : Part, the chosen one
    scores : dict from part number to Score
    said : bool, whether the user named the part

    Yields
    ------
    str
    """
    if said:
        yield f"{what}: part {part}, as you said."
        return
    score = scores[part.number]
    yield f"{what}: part {part}, with {score.points:.1f} points, because"
    yield from (f"  {point}" for point in score.why)
    runner_up = max(((other.points, number) for number, other in scores.items() if number != part.number), default=None)
    if runner_up is not None:
        points, number = runner_up
        hint = f"; that is close: --{what.lower()} {number} takes it instead" if score.points - points < CLOSE else ""
        yield f"  The next best is part {number}, with {points:.1f}{hint}."
