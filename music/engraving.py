"""Engrave MusicXML as SVG and PDF, with Verovio and svglib from the extra `score`.

Verovio writes a text in pieces, and the signs within it (the flat of a chord symbol, the note of a tempo mark) in a
font that few viewers have. Here each text becomes one piece of Unicode letters, which all viewers can show. The part's
name and the composer are written below the title. The PDF embeds the STIX fonts that come with Matplotlib.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from numpyrnn.checks import NumpyrnnError

WIDTH, HEIGHT, MARGIN = 2100, 2970, 150  # tenths of a millimetre: A4
UNIT = 10  # units of a drawing in a tenth of a millimetre
OPTIONS = {
    **{"pageWidth": WIDTH, "pageHeight": HEIGHT, "footer": "none", "bottomMarginHeader": 8.0, "spacingSystem": 8},
    **{f"pageMargin{side}": MARGIN for side in ("Left", "Right", "Top", "Bottom")},
    # Lines break as written, and wherever one would be too full.
    **{"breaks": "smart", "breaksSmartSb": 0.0, "measureMinWidth": 40, "minLastJustification": 0.4},
    **{"svgFormatRaw": True, "svgViewBox": True, "smuflTextFont": "none", "xmlIdSeed": 1},
}
ElementTree.register_namespace("", "http://www.w3.org/2000/svg")
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")
SVG = "{http://www.w3.org/2000/svg}"
FONT = "STIXGeneral"
LIKE = {  # by an element's class, as in Verovio's style sheet
    **dict.fromkeys(("ending", "fing", "reh", "tempo"), ("font-weight", "bold")),
    **dict.fromkeys(("dir", "dynam", "mNum"), ("font-style", "italic")),
}
STYLE = {"x", "y", "text-anchor", "font-size", "font-family", "font-weight", "font-style"}  # of a text
BELOW_TITLE = (  # what stands there, and how far from the left
    ("part-list/score-part/part-name", {"x": f"{MARGIN * UNIT}", "text-anchor": "start"}),
    ("identification/creator", {"x": f"{(WIDTH - MARGIN) * UNIT}", "text-anchor": "end"}),
)
LONGEST = 2 * (WIDTH - 2 * MARGIN) * UNIT  # a letter is half as wide as its size; a long title becomes smaller
ONLY_UPRIGHT = set("♭♮♯♩♪△")  # letters that bold or italic fonts lack
FLAT = re.compile("(?<=[A-G(])b|b(?=[0-9])")  # in the text of a chord symbol
GAP = "\N{EN SPACE}"  # after a chord symbol, so that the next one does not touch it
SIGNS = {  # of a music font (SMuFL), and the space that does not break, in letters of other fonts
    **{0xE260: "♭", 0xE261: "♮", 0xE262: "♯", 0xE263: "♯♯", 0xE264: "♭♭", 0xE870: "°", 0xE871: "ø", 0xE873: "△"},
    **{0xEA63: "♭♭", 0xEA64: "♭", 0xEA65: "♮", 0xEA66: "♯", 0xEA67: "♯♯"},
    **{0xECA2: "whole", 0xECA3: "half", 0xECA5: "♩", 0xECA7: "♪", 0xECB7: ".", 0xA0: " ", ord(GAP): ""},
}


def check_installed() -> None:
    """Raise a `NumpyrnnError` that says how to get the extra `score` if it is not installed."""
    if not all(map(find_spec, ("verovio", "svglib"))):
        raise NumpyrnnError(
            "SVG and PDF need Verovio and svglib, which are not installed: pip install 'numpyrnn[score]'"
        )


def svg_pages(musicxml: bytes) -> list[bytes]:
    """Engrave a score on A4 pages.

    Parameters
    ----------
    musicxml : bytes of an uncompressed MusicXML file

    Returns
    -------
    list of bytes, an SVG file for each page; the same score gives the same bytes

    Raises
    ------
    NumpyrnnError
        if the extra is not installed, or Verovio finds no music
    """
    return [_on_white(page) for page in _pages(musicxml)]


def svg(musicxml: bytes) -> bytes:
    """Engrave a score as one SVG file that is as tall as the music; see `svg_pages`."""
    pages = _pages(musicxml, adjustPageHeight=True)
    tops = [0]
    for page in pages:
        page[1].set("transform", f"translate(0, {tops[-1]})")
        tops.append(tops[-1] + int(page.get("viewBox", "").split()[3]) - 2 * MARGIN * UNIT)
    glyphs = {glyph.get("id"): glyph for page in pages for glyph in page[0]}
    whole = _page(tops[-1] + 2 * MARGIN * UNIT)
    SubElement(whole, f"{SVG}defs").extend(glyphs.values())
    whole.extend(page[1] for page in pages)
    return _on_white(whole)


def pdf(musicxml: bytes) -> bytes:
    """Engrave a score as a PDF file of A4 pages with embedded fonts; see `svg_pages`."""
    pages = svg_pages(musicxml)
    from reportlab.graphics import renderPDF
    from reportlab.pdfgen.canvas import Canvas
    from svglib.svglib import svg2rlg

    file = io.BytesIO()
    _register_fonts()
    canvas = Canvas(file, invariant=True)  # without date
    canvas.setTitle(ElementTree.fromstring(musicxml).findtext("work/work-title") or "Score")
    for page in pages:
        drawing = svg2rlg(io.BytesIO(page))
        canvas.setPageSize((drawing.width, drawing.height))
        renderPDF.draw(drawing, canvas, 0, 0)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


ENGRAVERS = {".svg": svg, ".pdf": pdf}  # by a file's ending


def _register_fonts() -> None:
    """Let svglib know the text fonts."""
    from matplotlib import get_data_path
    from svglib.fonts import register_font

    folder = Path(get_data_path(), "fonts", "ttf")
    for weight, slant in product(("normal", "bold"), ("normal", "italic")):
        bold = "Bol" * (weight == "bold")
        italic = ("Ita" if bold else "Italic") * (slant == "italic")
        register_font(FONT, str(folder / f"{FONT}{bold}{italic}.ttf"), weight, slant)


def _page(height: int) -> Element:
    """An empty SVG drawing as wide as an A4 page."""
    size = {"width": f"{WIDTH / 10}mm", "height": f"{height / UNIT / 10}mm"}
    return Element(f"{SVG}svg", size, viewBox=f"0 0 {WIDTH * UNIT} {height}")


def _on_white(drawing: Element) -> bytes:
    """The SVG file of a drawing, on a white ground, so that it can be read on dark pages too."""
    _, _, width, height = drawing.get("viewBox", "").split()
    drawing.insert(0, Element(f"{SVG}rect", width=width, height=height, fill="white"))
    return ElementTree.tostring(drawing)


def _pages(musicxml: bytes, **options: Any) -> list[Element]:
    """Engrave pages, each a drawing of two elements: the definitions of the glyphs, and the music."""
    check_installed()
    import verovio

    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    toolkit.setOptions(OPTIONS | options)
    try:
        score = ElementTree.fromstring(musicxml)
    except ElementTree.ParseError:
        score = Element("none")
    if score.find("part/measure") is None or not toolkit.loadData(_prepared(score)):
        raise NumpyrnnError("Verovio finds no music in the score")
    pages = [_clean(ElementTree.fromstring(toolkit.renderToSVG(i + 1))) for i in range(toolkit.getPageCount())]
    height = MARGIN + (85 if score.findtext("work/work-title") else -30)  # without a title, above the music
    for path, style in BELOW_TITLE:
        if text := score.findtext(path):
            style = {"y": f"{height * UNIT}", "font-size": "330", **style}
            _write(SubElement(pages[0][1], f"{SVG}g", stroke="none"), text, style)
    return pages


def _prepared(score: Element) -> str:
    """Make Verovio hide degrees that are hidden, print signs in symbols, and set a feel above the chords."""
    for harmony in score.iter("harmony"):
        harmony[:] = [part for part in harmony if part.get("print-object") != "no"]
        for kind in harmony.iter("kind"):
            kind.set("text", FLAT.sub("♭", kind.get("text", "")).replace("#", "♯") + GAP)
    for name in score.iter("part-name"):
        name.set("print-object", "no")
    for sound in score.iterfind(".//swing/.."):
        sound.attrib.setdefault("tempo", "120")
    return ElementTree.tostring(score, encoding="unicode")


def _clean(drawing: Element) -> Element:
    """A page of Verovio without style sheet and names of elements, with texts that look alike everywhere."""
    page = _page(int(drawing[-1].get("viewBox", "").split()[3]))
    SubElement(page, f"{SVG}defs").extend(drawing.findall(f"{SVG}defs/*"))
    music = SubElement(page, f"{SVG}g", fill="black", stroke="black", color="black")
    music.extend(drawing[-1])
    _write_texts(music, {})
    return page


def _write_texts(element: Element, style: dict[str, str]) -> None:
    """Replace the texts within an element, and drop what the style sheet hides."""
    element.attrib.pop("id", None)
    left = min((float(box.get("x", 0)) for box in element.findall(f"{SVG}rect")), default=0)
    if left < 0:  # the box of a long section label, which is centred above the bar line
        element.set("transform", f"translate({-left:g}, 0)")
    style = style | dict(LIKE[name] for name in element.attrib.pop("class", "").split() if name in LIKE)
    element[:] = [child for child in element if "placeholder" not in child.get("class", "")]
    for i, child in enumerate(element):
        if child.tag != f"{SVG}text":
            _write_texts(child, style)
            continue
        element[i] = texts = Element(f"{SVG}g", stroke="none")
        pieces: dict[tuple[str, str], list[tuple[dict[str, str], str]]] = {}
        for own, letters in _pieces(child, {"x": "0", "y": "0", **style}):
            pieces.setdefault((own["x"], own["y"]), []).append((own, letters))
        for here in pieces.values():
            text = "".join(letters for _, letters in here).translate(SIGNS).strip()
            own = next((own for own, _ in here if "font-family" not in own), here[0][0])
            if not ONLY_UPRIGHT.isdisjoint(text):
                own = {key: value for key, value in own.items() if key not in ("font-weight", "font-style")}
            _write(texts, text, own)


def _write(group: Element, text: str, style: dict[str, str]) -> None:
    """Write a text in one piece, smaller if it is too long for a line."""
    size = min(float(style["font-size"].removesuffix("px")), LONGEST / max(len(text), 1))
    style = style | {"font-family": f"{FONT}, Times, serif", "font-size": f"{size:.4g}"}
    SubElement(group, f"{SVG}text", style).text = text


def _pieces(element: Element, style: dict[str, str]) -> Iterator[tuple[dict[str, str], str]]:
    """The style of each piece of a text, and its letters."""
    style = style | {name: value for name, value in element.attrib.items() if name in STYLE}
    if element.text and element.tag == f"{SVG}tspan":  # not the <title> that is shown under the mouse
        yield style, element.text
    for child in element:
        yield from _pieces(child, style)
