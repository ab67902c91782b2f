"""The container of a model file: a zip of named members, none compressed, which `numpy.load` reads too.

A member is an array (`NAME.npy`) or a text (`NAME.json`). The last one, `sha256`, holds the SHA-256 of all others. It
notices damage, not forgery: whoever changes a file on purpose can compute it again. So nothing in a file is believed,
and nothing is allocated before its size is known to be in the file. `docs/model-files.md` describes the format.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterator, Mapping
from hashlib import sha256
from io import BytesIO
from typing import IO, Any
from zipfile import ZIP64_LIMIT, ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np

from .checks import Array, NumpyrnnError

DIGEST = "sha256"  # the name of the last member
NPY_HEADER = 128  # bytes before the values of a flat array
LONGEST_DIRECTORY = 1 << 16  # bytes of the zip's directory
END = struct.Struct("<4s4H2IH")  # of a zip: mark, ..., length of the directory, its place, length of a comment
RECORD = struct.Struct("<4sQ2H2I4Q")  # of a large zip, before it: mark, ..., length of the directory, its place
LOCATOR = struct.Struct("<4sIQI")  # between them: mark, a number, the record's place, a number
LOCAL_HEADER = 30  # bytes before a member's name
PIECE = 1 << 20  # bytes that are read at a time
MOST_CONTAINERS = 250_000  # in a JSON text, plus one for every 50 bytes: "[]," takes 25 times as much memory as text
CONTAINER = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]', re.DOTALL)  # the beginning of one, or a whole string


def write(file: IO[bytes], members: Mapping[str, bytes | Array]) -> None:
    """Write members, and their digest as the last one. Arrays are written from their own memory, without a copy.

    Parameters
    ----------
    file : binary file, open for writing
    members : texts and flat arrays by name; equal members give equal bytes

    Raises
    ------
    NumpyrnnError
        if there are more members than `Archive` reads
    """
    if sum(46 + 28 + len(name.encode()) for name in members) > LONGEST_DIRECTORY:
        raise NumpyrnnError(f"a model file must have fewer members, there are {len(members):,}")
    digest = sha256()
    with ZipFile(file, "w", ZIP_STORED) as archive:
        for name, content in members.items():
            parts = (content, b"") if isinstance(content, bytes) else (npy_header(content), bytes_of(content))
            info = ZipInfo(name)  # with a fixed date
            info.file_size = len(parts[0]) + len(parts[1])
            digest.update(_label(info))
            with archive.open(info, "w") as member:
                for part in parts:
                    digest.update(part)
                    member.write(part)
        archive.writestr(ZipInfo(DIGEST), digest.hexdigest())


def npy_header(array: Array) -> bytes:
    """The bytes that stand before the values of a flat array in a .npy file."""
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return header.getvalue()


def bytes_of(array: Array) -> memoryview:
    """The memory of a flat array."""
    return array.view(np.uint8).data


def _label(info: ZipInfo) -> bytes:
    return f"{info.filename}\0{info.file_size}\0".encode()  # before the bytes of each member in the digest


class Archive:
    """The members of an open file. What is asked for is read, in pieces, and nothing else.

    Parameters
    ----------
    file : binary file, open for reading

    Attributes
    ----------
    sizes : dict from the names of the members to their sizes in bytes

    Raises
    ------
    NumpyrnnError
        if it is no zip with a short directory, or a member occurs twice; other methods raise it too
    Exception
        of any kind that `zipfile` and `zlib` raise for a damaged file; so do other methods
    """

    def __init__(self, file: IO[bytes]):
        _check_directory(file)
        self.zip = ZipFile(file)
        self.infos = self.zip.infolist()
        self.sizes = {info.filename: info.file_size for info in self.infos}
        if len(self.sizes) < len(self.infos):
            raise NumpyrnnError("a member occurs twice")
        if any(info.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for info in self.infos):  # others have no bound
            raise NumpyrnnError("a member must be stored or deflated, it is compressed otherwise")

    def check_stored(self) -> None:
        """Raise unless the members lie one behind the other, as `write` writes them, and have their digest."""
        end, digest = 0, sha256()
        for info in self.infos:
            if (info.header_offset, info.compress_type, info.compress_size) != (end, ZIP_STORED, info.file_size):
                raise NumpyrnnError(f"the member {info.filename!r:.80} must not be compressed, or lie elsewhere")
            long_sizes = 20 if info.file_size * 1.05 > ZIP64_LIMIT else 0  # bytes, as zipfile decides
            end += LOCAL_HEADER + len(info.filename.encode()) + long_sizes + info.file_size
            if info is not self.infos[-1]:
                digest.update(_label(info))
                for piece in self.pieces(info.filename):
                    digest.update(piece)
        last = self.infos[-1].filename
        if end != self.zip.start_dir or last != DIGEST or self.text(last) != digest.hexdigest().encode():
            raise NumpyrnnError("it must end with the SHA-256 of its members")

    def pieces(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of a member, as many as it is said to have."""
        left = self.sizes[name]
        with self.zip.open(name) as member:
            while left:
                if not (piece := member.read(min(left, PIECE))):
                    raise NumpyrnnError(f"{name} is cut short")
                left -= len(piece)
                yield piece

    def text(self, name: str) -> bytes:
        """All bytes of a member."""
        return b"".join(self.pieces(name))

    def read(self, name: str, out: Array) -> None:
        """Read a member into a flat array of its dtype and length."""
        data, header, done = bytes_of(out), b"", -NPY_HEADER
        if self.sizes[name] != NPY_HEADER + len(data):
            raise NumpyrnnError(f"{name} must have {NPY_HEADER + len(data):,} bytes, it has {self.sizes[name]:,}")
        for piece in self.pieces(name):
            if done < 0:
                header, piece, done = piece[:NPY_HEADER], piece[NPY_HEADER:], 0
            data[done : done + len(piece)] = piece
            done += len(piece)
        if header != npy_header(out):
            raise NumpyrnnError(f"{name} must be a flat array of {len(out):,} {out.dtype}, it is another")


def parse(text: bytes | memoryview) -> Any:
    """The value of a JSON text in ASCII.

    Raises
    ------
    NumpyrnnError
        if it is something else, holds a name twice, NaN or infinity, or far too many lists and dicts
    """
    try:
        words = str(text, "ascii")
        most = MOST_CONTAINERS + len(words) // 50
        if words.count("[") + words.count("{") > most and _containers(words) > most:
            raise NumpyrnnError("it has too many lists and dicts")
        return json.loads(words, object_pairs_hook=_distinct, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise NumpyrnnError(f"a JSON text must be valid ({error!s:.200})") from error


def _containers(words: str) -> int:
    """The number of lists and dicts in a JSON text. A string has two characters or more, a bracket has one."""
    return sum(found.end() - found.start() == 1 for found in CONTAINER.finditer(words))


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(names := dict(pairs)) < len(pairs):
        raise NumpyrnnError(f"it has a name twice: {pairs!r:.80}")
    return names


def _refuse(constant: str) -> None:
    raise NumpyrnnError(f"it has {constant}")


def _check_directory(file: IO[bytes]) -> None:
    """Raise unless a zip's directory is short, so that `zipfile` needs little memory to read it."""
    size, length = file.seek(0, os.SEEK_END), RECORD.size + LOCATOR.size + END.size
    place = size - length
    file.seek(max(0, place))
    tail = file.read(length).rjust(length, b"\0")
    locator, end = tail[RECORD.size : -END.size], tail[-END.size :]
    mark, *_, length, _, comment = END.unpack(end)
    if locator.startswith(b"PK\6\7"):
        (*_, length, _), (_, _, place, _) = RECORD.unpack(tail[: RECORD.size]), LOCATOR.unpack(locator)
    if mark != b"PK\5\6" or comment or length > LONGEST_DIRECTORY or place != size - len(tail):
        raise NumpyrnnError("its end is not that of a zip with a short directory")
