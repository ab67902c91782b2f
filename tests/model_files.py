"""Model files taken apart, changed, and written again, in the present form and in that of earlier versions."""

import io
import json
import zipfile

import numpy as np

from numpyrnn.archive import DIGEST, write

OLD, NEW = "numpyrnn model 1", "numpyrnn model 2"
IN_HEADER = ("format", "kind", "dtype", "model")


def members_of(data):
    """The members of a model file, as bytes, without its digest."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != DIGEST}


def write_members(path, members):
    """Write members and the digest that they have."""
    with path.open("wb") as file:
        write(file, members)


def parts_of(data):
    """The arrays of a model file by their old names, and all the rest as one dict, in the old order."""
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files if name not in archive.zip.namelist()}
        header, vocabulary, config, training = (
            json.loads(archive[f"{name}.json"]) if f"{name}.json" in archive.files else None
            for name in ("header", "vocabulary", "config", "training")
        )
    order = ("format", "kind", "model", "dtype")
    about = {name: header[name] for name in order}
    return arrays, about | {"vocabulary": vocabulary, "config": config, "training": training}


def write_parts(path, arrays, about, form=NEW):
    """Write such arrays and such a dict, whatever they hold, as a model file of one of the two forms."""
    if isinstance(about, dict) and about.get("format") in (OLD, NEW):
        about = about | {"format": form}
    if form == OLD:
        about = np.frombuffer(json.dumps(about).encode(), np.uint8)
        np.savez_compressed(path, **({"about": about} | arrays))
        return
    texts = {}
    if isinstance(about, dict):
        for name in ("vocabulary", "config", "training"):
            if about.get(name) is not None:
                texts[f"{name}.json"] = about[name]
        about = {name: value for name, value in about.items() if name in IN_HEADER}
    texts = {name: json.dumps(value, separators=(",", ":")).encode() for name, value in texts.items()}
    stored = {f"{name}.npy": npy(array) for name, array in arrays.items()}
    write_members(path, {"header.json": json.dumps(about).encode(), **texts, **stored})


def npy(array):
    """The bytes of a .npy file."""
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()
