"""The container of a model file: a zip of named members, none compressed, which `numpy.load` reads too.

A member is an array (`NAME.npy`) or a text (`NAME.json`). The last one, `sha256`, holds the SHA-256 of all others. It
notices damage, not forgery: whoever changes a file on purpose can compute it again. So nothing in a file is believed,
and nothing is allocated before its size is known to be in the file. `docs/model-files.md` describes the format.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from hashlib import sha256
from io import BytesIO
from typing import IO, Any
from warnings import catch_warnings, simplefilter
from zipfile import ZIP_STORED, ZipFile, ZipInfo

import numpy as np

from .checks import Array, NumpyrnnError

DIGEST = "sha256"  # the name of the last member
LONGEST_DIRECTORY = 1 << 16  # bytes of the zip's directory
PIECE = 1 << 20  # bytes that are read at a time


def write(file: IO[bytes], members: Mapping[str, bytes | Array]) -> None:
    """Write members, and their digest as the last one. Arrays are written from their own memory, without a copy.

    Parameters
    ----------
    file : binary file, open for writing
    members : texts and contiguous arrays by name; equal members give equal bytes
    """
    digest = sha256()
    with ZipFile(file, "w", ZIP_STORED) as archive:
        for name, content in members.items():
            parts: list[Any] = [content] if isinstance(content, bytes) else [_npy_header(content), _bytes_of(content)]
            info = ZipInfo(name)  # with a fixed date
            info.file_size = sum(map(len, parts))
            digest.update(_label(name, info.file_size))
            with archive.open(info, "w") as member:
                for part in parts:
                    digest.update(part)
                    member.write(part)
        archive.writestr(ZipInfo(DIGEST), digest.hexdigest())


def _npy_header(array: Array) -> bytes:
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
    return header.getvalue()


def _bytes_of(array: Array) -> memoryview:
    return array.reshape(-1).view(np.uint8).data


def _label(name: str, size: int) -> bytes:
    return f"{name}\0{size}\0".encode()  # before the bytes of each member in the digest


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
        of any kind that `zipfile`, `zlib` and `numpy.lib.format` raise for a damaged file; so do other methods
    """

    def __init__(self, file: IO[bytes]):
        self.file = file
        _check_directory(file)
        self.zip = ZipFile(file)
        self.infos = {info.filename: info for info in self.zip.infolist()}
        self.sizes = {name: info.file_size for name, info in self.infos.items()}
        if len(self.infos) < len(self.zip.infolist()):
            raise NumpyrnnError("a member occurs twice")

    def check_stored(self) -> None:
        """Raise unless the members lie one behind the other, as `write` writes them, and have their digest."""
        end, digest, label, found = 0, sha256(), b"", b""
        for name, info in self.infos.items():
            self.file.seek(end)
            header = self.file.read(30 + len(name.encode()))
            if info.header_offset != end or header[:4] != b"PK\3\4" or header[30:] != name.encode():
                raise NumpyrnnError(f"the member {name!r:.80} is not where it must be")
            if info.compress_type != ZIP_STORED or info.compress_size != info.file_size:
                raise NumpyrnnError(f"the member {name!r:.80} must not be compressed")
            end += len(header) + int.from_bytes(header[28:30], "little") + info.file_size
            label = _label(name, info.file_size)
            if name == DIGEST:
                found = self.text(DIGEST, digest.digest_size * 2)
                continue
            digest.update(label)
            for piece in self._pieces(name):
                digest.update(piece)
        if end != self.zip.start_dir or next(reversed(self.infos)) != DIGEST:
            raise NumpyrnnError("it must end with its digest and the directory")
        if found != digest.hexdigest().encode():
            raise NumpyrnnError("its SHA-256 must be that of its members")

    def text(self, name: str, most: int) -> bytes:
        """All bytes of a member of at most `most` bytes."""
        if self.sizes[name] > most:
            raise NumpyrnnError(f"the member {name} must have at most {most:,} bytes, it has {self.sizes[name]:,}")
        return b"".join(self._pieces(name))

    def length(self, name: str, dtype: np.dtype[Any]) -> int:
        """The number of values in the flat array of a member, which must have this dtype and its declared size."""
        with self.zip.open(self.infos[name]) as member:
            return self._begin(member, dtype)

    def read(self, name: str, out: Array) -> None:
        """Read the flat array of a member into an array of the same dtype and length."""
        with self.zip.open(self.infos[name]) as member:
            if (length := self._begin(member, out.dtype)) != len(out):
                raise NumpyrnnError(f"{name} must have shape ({len(out)},), got ({length},)")
            data, done = _bytes_of(out), 0
            while done < len(data):
                piece = member.read(min(PIECE, len(data) - done))
                if not piece:
                    raise NumpyrnnError(f"{name} is cut short")
                data[done : done + len(piece)] = piece
                done += len(piece)

    def _begin(self, member: IO[bytes], dtype: np.dtype[Any]) -> int:
        """Read the header of an array, and return its length."""
        with catch_warnings():
            simplefilter("error")  # about a header that NumPy can read, but would never write
            np.lib.format.read_magic(member)
            shape, fortran, found = np.lib.format.read_array_header_1_0(member)
        name = str(member.name)
        if found != dtype or fortran or len(shape) != 1:
            raise NumpyrnnError(f"{name} must be a flat array of {dtype}, got {found!s:.80} of shape {shape!s:.80}")
        if shape[0] * dtype.itemsize != self.sizes[name] - member.tell():
            raise NumpyrnnError(f"{name} must have as many values as it says ({shape[0]!s:.80})")
        return int(shape[0])

    def _pieces(self, name: str) -> Iterator[bytes]:
        left = self.sizes[name]
        with self.zip.open(self.infos[name]) as member:
            while left:
                if not (piece := member.read(min(left, PIECE))):
                    raise NumpyrnnError(f"{name} is cut short")
                left -= len(piece)
                yield piece


def _check_directory(file: IO[bytes]) -> None:
    """Raise unless a zip's directory is short, so that `zipfile` needs little memory to read it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 98))
    tail = file.read(98).rjust(98, b"\0")  # the end record; before it, in a large zip, a 64-bit one and its locator
    length, _, comment = struct.unpack("<IIH", tail[-10:])
    if tail[-42:-38] == b"PK\6\7" and tail[-34:-26] == struct.pack("<Q", size - 98):
        length = max(length % 0xFFFFFFFF, *struct.unpack("<Q", tail[40:48]))
    if tail[-22:-18] != b"PK\5\6" or comment or length > LONGEST_DIRECTORY:
        raise NumpyrnnError("its end is not that of a zip with a short directory")
