"""From tokens to music: composed with a network, written as MIDI, sound and picture."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path

import numpy as np

from music.midi import Midi, Note, as_tempo, midi_bytes, read_midi
from music.outputs import by_soundfont, side_by_side, write_together
from music.synth import MAX_SECONDS, render, wav_bytes
from numpyrnn import NumpyrnnError
from numpyrnn.checkpoint import Checkpoint
from numpyrnn.checks import Array, check_count, check_range
from numpyrnn.sampling import Sampler, stream

from .model import Material, material_of
from .tokens import PITCHES, name_of, pitches_of, split_token, tokens_of

LENGTH = 200  # notes and chords
TEMPO = 120  # quarters a minute: without rhythm a note each half second, as in the article
RHYTHM_TEMPO = 80  # of a piece with rhythm: about what most of the shipped ones have
BAR = Fraction(4)  # quarters
PLAIN = Fraction(1)  # quarters, of a token without rhythm
ENDINGS = (".mid", ".wav", ".png")
Progress = Callable[[Iterable[int], int], Iterable[int]]
SHOWN = 8  # tokens of a primer, in an error
KINDS = {"primer": "primer", "note": "single notes", "chord": "chords"}


@dataclass(frozen=True, repr=False)
class Music:
    """A new piece.

    Attributes
    ----------
    tokens : list of str, all that is played
    n_primer : int, so many of them, at the beginning, were given
    midi : Midi
    tempo : int, quarters a minute
    seed : int, makes it again
    """

    tokens: list[str]
    n_primer: int
    midi: Midi
    tempo: int
    seed: int

    def wav(self) -> bytes:
        """The sound, 16-bit stereo, as the bytes of a WAV file."""
        return wav_bytes(render(self.midi))

    def png(self) -> bytes:
        """The piano roll, as the bytes of a PNG file."""
        from music.roll import RollNote, piano_roll

        of_tokens = ["chord" if name_of(token) not in PITCHES else "note" for token in self.tokens]
        of_tokens[: self.n_primer] = ["primer"] * self.n_primer
        onsets = dict(zip(_onsets(self.tokens), of_tokens, strict=False))
        notes = [RollNote(note.onset, note.duration, note.pitch, onsets[note.onset]) for note in self.midi.notes]
        bars = [(i * BAR, BAR) for i in range(-(-self.midi.length // BAR))]
        kinds = {kind: words for kind, words in KINDS.items() if kind in of_tokens}
        return piano_roll(notes, bars, title=f"{len(self.tokens) - self.n_primer} new notes and chords", kinds=kinds)

    def write(self, path: str | Path, soundfont: str | Path | None = None) -> list[Path]:
        """Write MIDI, WAV and PNG side by side: all three or none.

        Parameters
        ----------
        path : file; its ending does not count, the three files have their own
        soundfont : file, optional
            Let fluidsynth make the sound, with this sound font.

        Returns
        -------
        list of Path

        Raises
        ------
        NumpyrnnError
            if one of the files cannot be written
        """
        files = output_files(path)
        wav = self.wav() if soundfont is None else by_soundfont(self.midi, soundfont)
        contents = midi_bytes(self.midi), wav, self.png()
        write_together(dict(zip(files, contents, strict=True)))
        return files

    def summary(self) -> str:
        """What is played, in a line."""
        new = [name_of(token) for token in self.tokens[self.n_primer :]]
        after = f" after the {self.n_primer} of the primer" if self.n_primer else ""
        chords = sum(name not in PITCHES for name in new) / len(new)
        seconds = round(self.midi.seconds(self.midi.length))
        return (
            f"{len(new):,} notes and chords{after} ({chords:.0%} chords, {len(set(new))} different), "
            f"{seconds // 60}:{seconds % 60:02} minutes at {self.tempo}. Seed {self.seed}."
        )


def output_files(path: str | Path) -> list[Path]:
    """The three files that a name stands for: NAME, NAME.mid, NAME.wav and NAME.png all mean NAME."""
    return side_by_side(path, ENDINGS, "a piece")


def compose(
    checkpoint: Checkpoint,
    length: int,
    sampler: Sampler,
    primer: Sequence[str] = (),
    progress: Progress = lambda items, length: items,
) -> list[str]:
    """Write music in tokens.

    Parameters
    ----------
    checkpoint : Checkpoint of a network
    length : int, how many tokens are written
    sampler : Sampler
    primer : list of str, optional
        Tokens that the music begins with; those that are not learned are left out. Without one the network first reads
        a random window of what was held out, which is not part of the music.
    progress : function of the new ids and of their number, gives the ids: a progress bar

    Returns
    -------
    list of str, the known ones of the primer and `length` new ones

    Raises
    ------
    NumpyrnnError
        if no token of the primer is known, or the checkpoint is not one of a network with its pieces
    """
    check_count("length", length, 1)
    material = material_of(checkpoint)
    given = known_part(material, primer) if len(primer) else held_out_window(material, sampler)
    settings = material.settings
    if settings.windowed:  # such a model has only ever seen whole windows: a short primer comes several times
        read = np.tile(given, -(-settings.window // len(given)))[-settings.window :]
        ids = stream(checkpoint.model, read, sampler, window=settings.window)
    else:
        ids = stream(checkpoint.model, given, sampler)
    written = material.vocabulary.decode(progress(islice(ids, length), length))
    return [*material.vocabulary.decode(given), *written] if len(primer) else written


def held_out_window(material: Material, sampler: Sampler) -> Array:
    """A random window of what was held out, in ids; drawn by the sampler's generator."""
    start = int(sampler.rng.choice(material.unseen.starts))
    return material.unseen.ids[start : start + material.settings.window]


def known_part(material: Material, primer: Sequence[str]) -> Array:
    """The tokens of a primer that are learned, in ids; an error if there is none."""
    (ids,) = material.encode([primer])
    if not len(ids):
        found = " ".join(dict.fromkeys(map(name_of, primer[:SHOWN])))
        known = f"one of the {len(material.vocabulary)} tokens that the model knows"
        raise NumpyrnnError(f"a primer must have {known}, it has {found or 'no notes'}")
    return ids


def read_primer(path: str | Path, checkpoint: Checkpoint) -> list[str]:
    """The beginning of a MIDI file as a model knows it.

    Parameters
    ----------
    path : file
    checkpoint : Checkpoint

    Returns
    -------
    list of str, the first tokens that are learned, as many as the model's windows have

    Raises
    ------
    NumpyrnnError
        if the file cannot be read or has none of the model's tokens
    """
    material = material_of(checkpoint)
    try:
        ids = known_part(material, tokens_of(read_midi(path), material.settings.rhythm))
    except NumpyrnnError as error:
        raise NumpyrnnError(f"{path}: {error}" if str(path) not in str(error) else str(error)) from None
    return material.vocabulary.decode(ids[: material.settings.window])


def perform(
    checkpoint: Checkpoint,
    length: int = LENGTH,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    seed: int | None = None,
    primer: str | Path | None = None,
    tempo: int | None = None,
    progress: Progress = lambda items, length: items,
) -> Music:
    """Compose a piece and set it for the piano.

    Parameters
    ----------
    checkpoint : Checkpoint of a network
    length : int, default 200, new notes and chords
    temperature : float, default 1; below 1 safer, above 1 wilder, 0 always the most probable
    top_k : int, optional, draw among the k most probable only
    seed : int, optional; same seed, same piece. Without one a new piece, whose `seed` says how to have it again
    primer : MIDI file, optional, with whose beginning the piece begins
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
    if seed is not None:
        check_count("seed", seed, 0)
    seed = secrets.randbelow(1 << 31) if seed is None else seed
    given = read_primer(primer, checkpoint) if primer is not None else []
    tokens = compose(checkpoint, length, Sampler(np.random.default_rng(seed), temperature, top_k), given, progress)
    midi = midi_of(tokens, tempo)
    if (seconds := midi.seconds(midi.length)) > MAX_SECONDS:
        found = f"this one would last {seconds / 60:.1f}: take a smaller --length"
        raise NumpyrnnError(f"a piece must last at most {MAX_SECONDS // 60} minutes, {found}")
    return Music(tokens, len(given), midi, tempo, seed)


def midi_of(tokens: Sequence[str], tempo: int = TEMPO) -> Midi:
    """Tokens as piano music.

    A token without rhythm lasts a quarter, and the next one follows it. Chords are a little louder than single notes,
    and so is what comes on a beat, more so at the beginning of a bar.

    Parameters
    ----------
    tokens : list of str, with or without rhythm
    tempo : int, default 120, quarters a minute

    Returns
    -------
    Midi of one track, channel 0, program 0
    """
    notes = []
    for onset, token in zip(_onsets(tokens), tokens, strict=False):
        name, duration, _ = split_token(token)
        pitches = pitches_of(name)
        velocity = 64 + 10 * (name not in PITCHES) + 8 * (onset % 1 == 0) + 6 * (onset % BAR == 0)
        notes += [Note(onset, duration or PLAIN, pitch, velocity) for pitch in pitches]
    end = max((note.onset + note.duration for note in notes), default=Fraction(0))
    return Midi(notes, ["Piano"], [(Fraction(0), as_tempo(tempo))], length=end)


def _onsets(tokens: Sequence[str]) -> list[Fraction]:
    """When each token begins, in quarters, and when one more would."""
    onsets = [Fraction(0)]
    for token in tokens:
        onsets.append(onsets[-1] + (split_token(token)[2] or PLAIN))
    return onsets
