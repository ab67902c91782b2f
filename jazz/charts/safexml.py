"""Untrusted XML, plain or in a zip archive. Work and memory are bounded; declarations of entities are refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from io import BytesIO
from typing import Any
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from numpyrnn import NumpyrnnError
from numpyrnn.archive import Archive

MAX_BYTES = 20_000_000  # of a score, unpacked
MAX_ELEMENTS = 500_000  # and attributes
MAX_DEPTH = 50
CONTAINER = "META-INF/container.xml"


def unpacked(content: bytes) -> bytes:
    """The XML of a score; of a zip, the member that its container names, or else the only XML file."""
    if not content.startswith(b"PK"):
        return content
    try:
        archive = Archive(BytesIO(content))
        names = [n for n in archive.sizes if re.search(r"\.(music)?xml$", n) and not re.match("META-INF|__MACOSX", n)]
        if CONTAINER in archive.sizes:
            container = parse(_member(archive, CONTAINER), ("container",))
            names = [file.get("full-path", "") for file in container.iter("rootfile")][:1]
        if len(names) != 1 or names[0] not in archive.sizes:
            raise NumpyrnnError(f"a compressed score must hold one score, got {', '.join(names)[:80] or 'none'}")
        return _member(archive, names[0])
    except NumpyrnnError:
        raise
    except Exception as error:  # a damaged file makes zipfile and zlib raise errors of a dozen kinds
        raise NumpyrnnError(f"a compressed score must be an undamaged zip ({error!s:.100})") from error


def _member(archive: Archive, name: str) -> bytes:
    """The content of a member of a zip. No more is inflated than its header says."""
    if archive.zip.getinfo(name).flag_bits & 1:
        raise NumpyrnnError(f"a score must not be encrypted, {name[:80]} is")
    if {"..", ""} & {*re.split(r"[/\\]", name)}:
        raise NumpyrnnError(f"a score must have a plain name in its archive, got {name[:80]}")
    if archive.sizes[name] > MAX_BYTES:
        raise NumpyrnnError(f"a score must have at most {MAX_BYTES:,} bytes unpacked, got {archive.sizes[name]:,}")
    return archive.text(name)


def parse(xml: bytes, roots: Sequence[str]) -> Element:
    """The root element of an XML document. Prefixes of names are dropped, and declarations of entities are refused."""
    parser, builder, opened, depth = expat.ParserCreate(), TreeBuilder(), 0, 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal opened, depth
        name = tag.rpartition(":")[2]
        if not depth and name not in roots:
            raise NumpyrnnError(f"a score must be MusicXML, with the root {' or '.join(roots)}, got {name[:40]}")
        opened, depth = opened + 1, depth + 1
        if opened > MAX_ELEMENTS or depth > MAX_DEPTH:
            raise NumpyrnnError(f"a score must have at most {MAX_ELEMENTS:,} elements, and {MAX_DEPTH} in each other")
        builder.start(name, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: Any) -> None:
        raise NumpyrnnError("a score must not declare entities or attributes in its DOCTYPE, it does")

    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, builder.data
    parser.EntityDeclHandler = parser.AttlistDeclHandler = refuse
    for what, most, got in (("bytes", MAX_BYTES, len(xml)), ("attributes", MAX_ELEMENTS, xml.count(b"="))):
        if got > most:
            raise NumpyrnnError(f"a score must have at most {most:,} {what}, got {got:,}")
    try:
        parser.Parse(xml.lstrip(b" \t\r\n"), True)
    except NumpyrnnError:
        raise
    except (expat.ExpatError, LookupError, TypeError, ValueError) as error:  # odd encodings raise odd errors
        raise NumpyrnnError(f"a score must be well-formed XML ({error!s:.100})") from error
    return builder.close()
