"""From a network to piano music: compose tokens, play them, and write MIDI, sound, picture and score."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, dropwhile, islice
from pathlib import Path

import numpy as np

from music.files import naming
from music.midi import Midi, Note, as_tempo, read_midi
from music.outputs import Performance
from music.roll import RollNote, piano_roll
from music.synth import MAX_SECONDS
from numpyrnn import NumpyrnnError
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import Array, check_count, check_range
from numpyrnn.sampling import Sampler, stream
from workbench.terminal import lasting

from .model import Material, material_of
from .tokens import PITCHES, WAIT, name_of, pitches_of, split_token, tokens_of

LENGTH = 200  # tokens
MOST_WAITS = 100  # tokens that are left out until the first note
TEMPO = 120  # quarters a minute, without rhythm: two notes a second, as in the article
RHYTHM_TEMPO = 80  # with rhythm: close to most of the shipped pieces
BAR = Fraction(4)  # quarters
PLAIN = Fraction(1)  # duration of a token without rhythm, in quarters
SHOWN = 8  # tokens of a primer that an error shows
KINDS = {"primer": "primer", "note": "single notes", "chord": "chords"}
Progress = Callable[..., Iterable[int]]


@dataclass(frozen=True, repr=False)
class Music(Performance):
    """A new piece.

    Attributes
    ----------
    tokens : list of str, the whole piece
    n_primer : int, how many tokens at the beginning come from the primer
    midi : Midi
    tempo : int, quarters a minute
    seed : int, which composes the same piece again
    """

    tokens: list[str]
    n_primer: int
    midi: Midi
    tempo: int
    seed: int

    def png(self) -> bytes:
        """Draw the piano roll, as the bytes of a PNG file."""
        names = list(map(name_of, self.tokens))
        of_tokens = ["wait" if name == WAIT else "note" if name in PITCHES else "chord" for name in names]
        of_tokens[: self.n_primer] = ["primer"] * self.n_primer
        onsets = dict(reversed(list(zip(_onsets(self.tokens), of_tokens, strict=False))))  # a wait comes last
        notes = [RollNote(note.onset, note.duration, note.pitch, onsets[note.onset]) for note in self.midi.notes]
        bars = [(i * BAR, BAR) for i in range(-(-self.midi.length // BAR))]
        kinds = {kind: words for kind, words in KINDS.items() if kind in of_tokens}
        new = len(_played(self.tokens[self.n_primer :]))
        return piano_roll(notes, bars, title=f"{new} new notes and chords", kinds=kinds)

    def musicxml(self) -> bytes:
        """Write the score, as the bytes of a MusicXML file."""
        from .notation import score  # and with it music21

        return score("Piano piece", self.midi.notes, self.tempo)

    def summary(self) -> str:
        """Describe the piece in one line."""
        new, primer = _played(self.tokens[self.n_primer :]), _played(self.tokens[: self.n_primer])
        after = f" after the {len(primer)} of the primer" if primer else ""
        chords = sum(name not in PITCHES for name in new) / max(len(new), 1)
        seconds = self.midi.seconds(self.midi.length)
        played = "1 note or chord" if len(new) == 1 else f"{len(new):,} notes and chords"
        return (
            f"{played}{after} ({chords:.0%} chords, {len(set(new))} different), "
            f"{lasting(seconds)} at {self.tempo}. Seed {self.seed}."
        )


def compose(
    checkpoint: Checkpoint,
    length: int,
    sampler: Sampler,
    primer: Sequence[str] = (),
    progress: Progress = lambda items, total: items,
) -> list[str]:
    """Compose tokens with a network.

    Parameters
    ----------
    checkpoint : Checkpoint of a network
    length : int, number of new tokens
    sampler : Sampler
    primer : list of str, optional
        Tokens that the music begins with; unknown ones are left out or, with rhythm, replaced. Without a primer the
        network first reads a random held-out window, which does not become part of the music, and waits before the
        first note are left out.
    progress : function such as tqdm; it is given the new ids and, as `total`, their number, and yields the ids

    Returns
    -------
    list of str, the known tokens of the primer and `length` new ones

    Raises
    ------
    NumpyrnnError
        if no token of the primer is known, or the checkpoint is not of a piano network
    """
    check_count("length", length, 1)
    material = material_of(checkpoint)
    given = known_part(material, primer) if len(primer) else held_out_window(material, sampler)
    settings = material.settings
    window = settings.window if settings.windowed else None
    read = given
    if window:  # the model has learned from whole windows only, so a short primer is repeated
        read = np.tile(given, -(-window // len(given)))[-window:]
    ids = stream(checkpoint.model, read, sampler, window=window)
    if not len(primer):  # the music begins with a note
        ids = dropwhile(lambda i: name_of(material.vocabulary.tokens[i]) == WAIT, islice(ids, length + MOST_WAITS))
    written = material.vocabulary.decode(progress(islice(ids, length), total=length))
    return [*material.vocabulary.decode(given), *written] if len(primer) else written


def held_out_window(material: Material, sampler: Sampler) -> Array:
    """Draw a random held-out window, (window,) ids, with the sampler's generator."""
    start = int(sampler.rng.choice(material.unseen.starts))
    return material.unseen.ids[start : start + material.settings.window]


def known_part(material: Material, primer: Sequence[str]) -> Array:
    """Encode a primer without its unknown tokens; an error if no token is known."""
    (ids,) = material.encode([primer])
    if not len(ids):
        found = " ".join(dict.fromkeys(map(name_of, primer[:SHOWN])))
        known = f"one of the {len(material.vocabulary)} tokens that the model knows"
        raise NumpyrnnError(f"a primer must have {known}, it has {found or 'no notes'}")
    return ids


def read_primer(path: str | Path, checkpoint: Checkpoint) -> list[str]:
    """Read the beginning of a MIDI file as tokens that a model knows.

    Parameters
    ----------
    path : file
    checkpoint : Checkpoint

    Returns
    -------
    list of str, the first known tokens, at most one window of the model

    Raises
    ------
    NumpyrnnError
        if the file cannot be read or has none of the model's tokens
    """
    material, midi = material_of(checkpoint), read_midi(path)
    with naming(path):
        ids = known_part(material, tokens_of(midi, material.settings.rhythm))
    return material.vocabulary.decode(ids[: material.settings.window])


def perform(
    checkpoint: Checkpoint,
    length: int = LENGTH,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    seed: int | None = None,
    primer: str | Path | None = None,
    tempo: int | None = None,
    progress: Progress = lambda items, total: items,
) -> Music:
    """Compose a piece and play it on the piano.

    Parameters
    ----------
    checkpoint : Checkpoint of a network
    length : int, default 200, number of new tokens: notes, chords and waits
    temperature : float, default 1; below 1 safer, above 1 wilder
        0 always takes the most probable. The seed then only chooses the held-out passage, if there is no primer.
    top_k : int, optional, draw only among the k most probable
    top_p : float, optional, draw only among the most probable, which together reach p
    seed : int, optional; the same seed gives the same piece. By default a random one, kept as `Music.seed`.
    primer : MIDI file, optional; the new piece starts with the beginning of this one
    tempo : int, quarters a minute; default 120, or 80 if the network knows rhythm
    progress : see `compose`

    Returns
    -------
    Music

    Raises
    ------
    NumpyrnnError
        if a setting is out of range, or the primer or the checkpoint cannot be used
    """
    if tempo is None:
        tempo = RHYTHM_TEMPO if material_of(checkpoint).settings.rhythm else TEMPO
    check_range("tempo", tempo, 20, 400)
    seed = secrets.randbelow(1 << 31) if seed is None else check_count("seed", seed, 0)
    given = read_primer(primer, checkpoint) if primer is not None else []
    sampler = Sampler(np.random.default_rng(seed), temperature, top_k, top_p)
    tokens = compose(checkpoint, length, sampler, given, progress)
    midi = midi_of(tokens, tempo)
    if (seconds := midi.seconds(midi.length)) > MAX_SECONDS:
        found = f"this one would last {seconds / 60:.1f}: take a smaller --length"
        raise NumpyrnnError(f"a piece must last at most {MAX_SECONDS // 60} minutes, {found}")
    return Music(tokens, len(given), midi, tempo, seed)


def midi_of(tokens: Sequence[str], tempo: int = TEMPO) -> Midi:
    """Play tokens as piano music.

    A token without rhythm lasts a quarter, and the next one follows it. Chords are a little louder than single notes.
    Beats are accented, and the first beat of a bar most. A wait prolongs the notes before it by its duration.

    Parameters
    ----------
    tokens : list of str, with or without rhythm
    tempo : int, default 120, quarters a minute

    Returns
    -------
    Midi of one track, channel 0, program 0
    """
    notes: list[Note] = []
    latest, waited = slice(0), Fraction(0)
    for onset, (name, duration, gap) in zip(_onsets(tokens), map(split_token, tokens), strict=False):
        if name == WAIT:
            notes[latest] = [note._replace(duration=note.duration + (duration or 0)) for note in notes[latest]]
            waited = onset + (gap or 0)
            continue
        pitches, latest = pitches_of(name), slice(len(notes), None)
        velocity = 64 + 10 * (name not in PITCHES) + 8 * (onset % 1 == 0) + 6 * (onset % BAR == 0)
        notes += [Note(onset, duration or PLAIN, pitch, velocity) for pitch in pitches]
    end = max((note.onset + note.duration for note in notes), default=Fraction(0))
    return Midi(notes, ["Piano"], [(Fraction(0), as_tempo(tempo))], length=max(end, waited))


def _onsets(tokens: Sequence[str]) -> list[Fraction]:
    """List when each token begins, in quarters, and when a token after the last one would."""
    gaps = (split_token(token)[2] for token in tokens)
    return list(accumulate((PLAIN if gap is None else gap for gap in gaps), initial=Fraction(0)))


def _played(tokens: Iterable[str]) -> list[str]:
    """The names of tokens, without waits."""
    return [name for name in map(name_of, tokens) if name != WAIT]
