"""The history of a training: JSONL and a picture."""

import json

import matplotlib.image
import numpy as np
import pytest
from records import read_history

from numpyrnn import NumpyrnnError
from workbench.history import curves, plot_history, write_history

RECORDS = [
    {"epoch": 1, "loss": 3.2958368660043291, "valid_loss": 2.5, "learning_rate": 0.004},
    {"epoch": 2, "loss": 2.1, "valid_loss": 1.75, "learning_rate": 0.002},
    {"epoch": 3, "loss": 1.9, "valid_loss": 1.8, "learning_rate": 0.001},
]
TRAINING_ONLY = [{"epoch": 1, "loss": 2.0, "valid_loss": None}, {"epoch": 2, "loss": 1.0}]


def pixels(path):
    """The picture as (height, width, colours), after a look at its signature."""
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    return matplotlib.image.imread(path)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "history.jsonl"


@pytest.fixture
def picture(tmp_path):
    return tmp_path / "curves.png"


# JSONL


@pytest.mark.parametrize(
    "records", [[], RECORDS, TRAINING_ONLY, [{"name": "北京😀\n\N{LINE SEPARATOR}", "x": [1, None]}]]
)
def test_records_come_back_as_they_were(path, records):
    write_history(path, records)
    assert read_history(path) == records


def test_each_line_is_one_json_object(path):
    write_history(path, RECORDS)
    text = path.read_text("utf-8")
    assert text.endswith("\n")
    assert [json.loads(line) for line in text.splitlines()] == RECORDS


def test_a_new_history_takes_the_place_of_the_old_one(path):
    write_history(path, RECORDS)
    write_history(path, RECORDS[:1])
    assert read_history(path) == RECORDS[:1]


def test_a_history_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(NumpyrnnError, match="could not be written"):
        write_history(tmp_path / "nowhere" / "history.jsonl", RECORDS)


def test_a_record_that_json_cannot_hold_leaves_the_old_history(path):
    write_history(path, RECORDS)
    with pytest.raises((TypeError, NumpyrnnError)):
        write_history(path, [{"a": 1}, {"a": object()}])
    assert read_history(path) == RECORDS
    assert [one.name for one in path.parent.iterdir()] == [path.name]


# the picture


@pytest.mark.parametrize("records", [[], RECORDS[:1], RECORDS, TRAINING_ONLY])
def test_the_picture_is_a_png_of_1050_by_630_with_something_on_it(picture, records):
    plot_history(records, picture, "A training", {}, "nats")
    image = pixels(picture)
    assert image.shape[:2] == (630, 1050)  # 7 by 4.2 inches of 150 dots
    assert (image != image[0, 0]).any(axis=2).mean() > 0.01  # not all of one colour


@pytest.mark.parametrize(
    "change",
    [
        {"records": RECORDS[:2]},
        {"records": [{**record, "valid_loss": None} for record in RECORDS]},
        {"records": [{**record, "loss": record["loss"] + 0.5} for record in RECORDS]},
        {"title": "Another"},
        {"levels": {"n-gram": 2.0}},
        {"unit": "bits"},
        {"label": "learned"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_is_given_is_seen(tmp_path, picture, change):
    arguments = {"records": RECORDS, "title": "A training", "levels": {}, "unit": "nats"}
    plot_history(path=picture, **arguments)
    plot_history(path=tmp_path / "again.png", **arguments)
    plot_history(path=tmp_path / "other.png", **(arguments | change))
    assert np.array_equal(pixels(picture), pixels(tmp_path / "again.png"))
    assert not np.array_equal(pixels(picture), pixels(tmp_path / "other.png"))


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path):
    with pytest.raises(NumpyrnnError, match="could not be written"):
        plot_history(RECORDS, tmp_path / "nowhere" / "curves.png", "A training", {}, "nats")


@pytest.mark.parametrize("epochs", [[1], [1, 2], range(1, 40)])
def test_epochs_are_marked_at_whole_numbers(tmp_path, epochs):
    with curves(tmp_path / "curves.png", "title", "nats", {}) as axes:
        axes.plot(epochs, [1.0] * len(epochs), "o", label="loss")
    low, high = axes.get_xlim()
    marks = [mark for mark in axes.get_xticks() if low <= mark <= high]
    assert marks
    assert all(mark == round(mark) for mark in marks)


def test_the_axis_of_a_single_epoch_is_one_epoch_wide(tmp_path):
    with curves(tmp_path / "curves.png", "title", "nats", {}) as axes:
        axes.plot([4], [1.0], "o", label="loss")
    assert axes.get_xlim() == (3.5, 4.5)
