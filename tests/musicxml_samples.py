"""Small scores in MusicXML, written as text for the tests."""

import io
import zipfile

ATTRIBUTES = (
    "<attributes><divisions>{0}</divisions><time><beats>{1}</beats><beat-type>{2}</beat-type></time></attributes>"
)
CONTAINER = '<container><rootfiles><rootfile full-path="{}"/></rootfiles></container>'


def attributes(divisions=1, beats=4, unit=4):
    return ATTRIBUTES.format(divisions, beats, unit)


def degree(value, alter=0, kind="add", more=""):
    return (
        f"<degree{more}><degree-value>{value}</degree-value><degree-alter>{alter}</degree-alter>"
        f"<degree-type>{kind}</degree-type></degree>"
    )


def harmony(root, kind="major", text=None, inner="", offset=None, alter=0, more=""):
    """A chord; `inner` stands where bass, inversion and degrees stand."""
    printed = "" if text is None else f' text="{text}"'
    altered = f"<root-alter>{alter}</root-alter>" if alter else ""
    place = "" if offset is None else f"<offset>{offset}</offset>"
    return (
        f"<harmony{more}><root><root-step>{root}</root-step>{altered}</root>"
        f"<kind{printed}>{kind}</kind>{inner}{place}</harmony>"
    )


def note(duration=4, inner=""):
    return f"<note>{inner}<pitch><step>C</step><octave>4</octave></pitch><duration>{duration}</duration></note>"


def measure(content="", number=1, more=""):
    return f'<measure number="{number}"{more}>{content}</measure>'


def part(*measures, name="P1"):
    """A part; a measure without a tag gets one, and a note that fills it if it has none."""
    full = [
        m if m.startswith("<measure") else measure(m + note() * ("<note" not in m), i)
        for i, m in enumerate(measures, 1)
    ]
    return f'<part id="{name}">' + "".join(full) + "</part>"


def score(*measures, head="", first=None):
    """A score with one part in 4/4."""
    beginning, *rest = measures
    inside = attributes() if first is None else first
    beginning = beginning.replace(">", ">" + inside, 1) if beginning.startswith("<measure") else inside + beginning
    return whole(part(beginning, *rest), head=head)


def whole(*parts, head="", root="score-partwise"):
    return f'<?xml version="1.0" encoding="UTF-8"?><{root} version="4.0">{head}{"".join(parts)}</{root}>'.encode()


def barline(content, location="right"):
    return f'<barline location="{location}">{content}</barline>'


def words(text, sound=""):
    return f"<direction><direction-type><words>{text}</words></direction-type>{sound}</direction>"


def sign(name, sound=""):
    return f"<direction><direction-type><{name}/></direction-type>{sound}</direction>"


def archive(*members, compression=zipfile.ZIP_DEFLATED):
    """A zip of (name, content)."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as zipped:
        for name, content in members:
            zipped.writestr(zipfile.ZipInfo(name), content, compression)  # with a fixed date
    return file.getvalue()


def compressed(content, name="score.musicxml"):
    return archive(("META-INF/container.xml", CONTAINER.format(name)), (name, content))
