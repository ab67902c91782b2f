"""The head of a score in MusicXML: title, composer, key, tempo and feel."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fractions import Fraction
from typing import Any
from xml.etree.ElementTree import Element

from ..feels import FEELS
from .chart import TEMPI

TONICS = {fifths: "FCGDAEB"[(fifths + 1) % 7] + "b" * (fifths < -1) + "#" * (fifths > 5) for fifths in range(-7, 11)}
UNITS = dict(zip(("whole", "half", "quarter", "eighth", "16th"), (Fraction(4, 2**n) for n in range(5))))  # quarters


def read_head(root: Element, measures: Iterable[Element]) -> dict[str, Any]:
    """Read what a score says about its tune.

    Parameters
    ----------
    root : Element, the score
    measures : the measures of the part that has the key

    Returns
    -------
    dict with the attributes title, composer, key, tempo and feel of Chart
    """
    titles = [root.findtext("work/work-title"), root.findtext("movement-title")]
    for kind in ("title", ""):
        titles += [e.findtext("credit-words") for e in root.iter("credit") if e.findtext("credit-type", "") == kind]
    composers = [e.text for e in root.iter("creator") if e.get("type", "composer") == "composer"]
    key = next((key for measure in measures for key in measure.iter("key")), Element("key"))
    tempo, feel = _tempo_and_feel(root)
    title, composer = (next(filter(None, map(plain, texts)), "") for texts in (titles, composers))
    return {"title": title, "composer": composer, "key": _key(key), "tempo": tempo, "feel": feel}


def plain(text: str | None) -> str:
    """Text on one line, without control characters; the first 200 characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in (text or "")[:1000]).split())[:200]


def _key(key: Element) -> str:
    """The tonic of a key, with "m" after it if minor; empty if it is neither major nor minor."""
    mode, fifths = key.findtext("mode", "major").strip(), key.findtext("fifths", "").strip()
    minor = mode in ("minor", "aeolian")
    if mode not in ("minor", "aeolian", "major", "ionian", "none") or not re.fullmatch("[+-]?[0-7]", fifths):
        return ""
    return TONICS[int(fifths) + 3 * minor] + "m" * minor


def _tempo_and_feel(root: Element) -> tuple[int | None, str]:
    """The first tempo, in quarters a minute, and the first feel that a score names."""
    tempo, feel = 0, ""
    for element in root.iter():
        text, unit = element.get("tempo", "") if element.tag == "sound" else "", Fraction(1)
        if element.tag == "metronome":
            text, unit = element.findtext("per-minute", ""), UNITS.get(element.findtext("beat-unit", ""), Fraction(0))
            unit *= 2 - Fraction(1, 2 ** len(element.findall("beat-unit-dot")[:4]))
        if not tempo and (found := re.search(r"[0-9]{1,4}(\.[0-9]{1,6})?", text[:100])):
            tempo = round(Fraction(found[0]) * unit)
        elif not feel and element.tag == "swing":
            feel = "swing" if element.find("straight") is None else "straight"
        elif not feel and element.tag == "words":
            feel = "".join(re.findall(rf"\b(?:{'|'.join(FEELS)})\b", (element.text or "")[:1000].lower())[:1])
    return tempo if tempo in TEMPI else None, feel
