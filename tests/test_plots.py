"""The pictures of a look inside."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from numpyrnn import GRU, LSTM, RNN, Dense, Embedding, NumpyrnnError, Sequential
from numpyrnn.inspect import Answer, gates, gradient_norms, plot_gates, plot_gradient_norms, plot_saliency, plot_units
from numpyrnn.inspect import Saliency as Found
from numpyrnn.plots import COLOURS, readable

V, A = 5, {"dtype": np.float64, "rng": 0}
MODEL = Sequential(Embedding(V, 3, **A), LSTM(3, 6, **A), GRU(6, 4, **A), RNN(4, 3, **A), Dense(3, V, **A))
SMALL = Sequential(RNN(V, 3, **A), Dense(3, V, **A))
IDS = np.array([0, 1, 2, 3, 4, 0])


def pixels(figure):
    file = BytesIO()
    figure.savefig(file, format="png")
    file.seek(0)
    return imread(file)[..., :3]


def words(figure):
    """All that is written in a picture, after it was drawn."""
    figure.draw_without_rendering()
    shown = [text for axes in figure.axes for text in axes.findobj(lambda part: hasattr(part, "get_text"))]
    return {text.get_text() for text in [*figure.texts, *shown] if text.get_text()}


def maps(figure):
    """The images of a picture, by the titles of their axes."""
    return {axes.get_title(): np.asarray(axes.images[0].get_array()) for axes in figure.axes if axes.images}


def test_gates_are_drawn_with_a_map_for_each_gate_and_state_of_each_layer():
    found = gates(MODEL, IDS)
    drawn = maps(plot_gates(found))
    assert [*drawn] == [
        *(f"layer 1: {what}" for what in ("output gate o", "input gate i", "forget gate f", "candidate g")),
        *("layer 1: hidden state h", "layer 1: cell state c", "layer 2: reset gate r", "layer 2: update gate z"),
        *("layer 2: candidate n", "layer 2: hidden state h", "layer 3: hidden state h"),
    ]
    forget = drawn["layer 1: forget gate f"]
    assert sorted(map(tuple, forget)) == sorted(map(tuple, found[0]["f"].T))


def test_a_map_of_gates_names_its_steps_units_and_gate():
    figure = plot_gates(gates(SMALL, IDS), "abc \nd", "A title", units=2)
    assert {"A title", "layer 1: hidden state h", "unit (2 of 3)", *"abcd", "␣", "↵"} <= words(figure)
    assert len(np.unique(pixels(figure).reshape(-1, 3), axis=0)) > 20


def test_the_units_of_a_layer_have_the_same_order_in_all_its_maps():
    found = gates(MODEL, IDS)
    drawn = maps(plot_gates(found, units=4))
    order = [found[0]["h"].T.tolist().index(row) for row in drawn["layer 1: hidden state h"].tolist()]
    for name, title in (("c", "layer 1: cell state c"), ("f", "layer 1: forget gate f")):
        np.testing.assert_array_equal(drawn[title], found[0][name][:, order].T)
    spread = found[0]["h"].std(axis=0)
    assert len(order) == 4
    assert min(spread[order]) >= max(np.delete(spread, order))
    largest = np.abs(found[0]["h"]).argmax(axis=0)[order]
    assert [*largest] == sorted(largest)


def test_a_map_of_saliency_has_a_row_for_each_prediction_and_its_largest_norm_is_one():
    found = [Found(np.zeros((t, 2)), np.arange(1.0, t + 1), -1.0) for t in range(1, 4)]
    figure = plot_saliency(found, "abcd")
    values = np.ma.filled(figure.axes[0].images[0].get_array(), np.nan)
    np.testing.assert_allclose(values, [[1, np.nan, np.nan], [1 / 2, 1, np.nan], [1 / 3, 2 / 3, 1]])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["b", "c", "d"]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["a", "b", "c"]
    (row,) = plot_saliency(found[2], "abcd").axes[0].images[0].get_array()
    np.testing.assert_allclose(row, [1 / 3, 2 / 3, 1])
    assert "d" in words(plot_saliency(found[2], "abcd"))


def test_a_saliency_of_zero_is_drawn():
    (row,) = plot_saliency(Found(np.zeros((2, 2)), np.zeros(2), 0.0)).axes[0].images[0].get_array()
    assert [*row] == [0, 0]


def test_a_curve_of_gradients_stands_for_each_name_with_a_style_of_its_own():
    norms = {f"layer {i}": one for i, one in enumerate(gradient_norms(MODEL, IDS))}
    figure = plot_gradient_norms(norms, "Gradients")
    lines = figure.axes[0].get_lines()
    assert [line.get_label() for line in lines] == [*norms]
    for line, values in zip(lines, norms.values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), values)
        assert [*line.get_xdata()] == [*range(len(IDS) + 1)]
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == len(norms)
    assert figure.axes[0].get_yscale() == "log"
    assert {"Gradients", "distance k in steps"} <= words(figure)


def test_a_gradient_that_has_vanished_altogether_is_drawn():
    assert pixels(plot_gradient_norms({"RNN": np.array([1.0, 1e-300, 0.0])})).size


def test_units_are_drawn_as_bars_with_what_they_answer_to():
    answers = [Answer(0, 3, "vowel", 0.9, ("a", "e")), Answer(1, 7, "space", -0.5, ("\n", " "))]
    figure = plot_units(answers)
    assert {"vowel: layer 1, unit 3", "space: layer 2, unit 7", "a  e", "↵  ␣", "highest after"} <= words(figure)
    bars = figure.axes[0].patches
    assert [round(bar.get_width(), 3) for bar in bars] == [0.9, -0.5]
    assert [bar.get_facecolor()[:3] for bar in bars] == [to_rgb(colour) for colour in COLOURS[:2]]
    picture = pixels(figure)
    for colour in COLOURS[:2]:
        assert (np.abs(picture - to_rgb(colour)).max(axis=2) < 0.01).any()


@pytest.mark.parametrize("token", ["$x_{", "\x1b[31m\u202e", "", "x" * 500])
def test_odd_tokens_and_titles_are_drawn_as_they_are(token):
    found, tokens = gates(SMALL, IDS), [token] * len(IDS)
    for figure in (
        plot_gates(found, tokens, token),
        plot_saliency(Found(np.zeros((2, 2)), np.ones(2), 0.0), tokens, token),
        plot_gradient_norms({"a": np.ones(3)}, token),
        plot_units([Answer(0, 0, token, 0.5, (token,))], token),
    ):
        assert pixels(figure).size
        assert not any("\x1b" in word or "\u202e" in word for word in words(figure))


@pytest.mark.parametrize(
    ("token", "shown"), [(" ", "␣"), ("\n", "↵"), ("\t", "⇥"), ("a", "a"), ("\x07", "\\x07"), ("E-5", "E-5")]
)
def test_tokens_that_cannot_be_seen_are_shown_by_a_sign(token, shown):
    assert readable(token) == shown


def test_many_steps_are_numbered_instead_of_named():
    found = [{"h": np.random.default_rng(0).standard_normal((500, 3))}]
    labels = [label.get_text() for label in plot_gates(found, "x" * 500).axes[0].get_xticklabels()]
    assert labels == [str(i) for i in range(0, 500, 50)]


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: plot_gates([]), "number of layers to draw must be at least 1"),
        (lambda: plot_saliency([]), "number of rows to draw must be at least 1"),
        (lambda: plot_gradient_norms({}), "number of curves to draw must be at least 1"),
        (lambda: plot_units([]), "number of units to draw must be at least 1"),
        (lambda: plot_gates(gates(SMALL, IDS), "abc"), "tokens must have one for each of 6 steps, got 3"),
        (lambda: plot_gates(gates(SMALL, IDS), units=0), "units must be a whole number of at least 1"),
        (lambda: plot_saliency(Found(np.ones((2, 1)), np.ones(2), 0.0), "ab"), "one for each of 3 steps, got 2"),
    ],
)
def test_what_cannot_be_drawn_is_one_error(draw, message):
    with pytest.raises(NumpyrnnError, match=message):
        draw()


def test_characters_that_the_font_lacks_are_drawn_as_their_codes():
    figure = plot_gates(gates(Sequential(RNN(3, 2, rng=0)), [0, 1, 2]), "中aé", "中国 \N{SAUROPOD}")
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["U+4E2D", "a", "é"]
    assert figure.get_suptitle() == "U+4E2DU+56FD U+1F995"
    figure.savefig(BytesIO())  # a missing glyph would be a warning, and that an error


def test_saliency_in_another_order_and_norms_of_another_shape_are_one_error():
    found = [Found(np.zeros((t, 1)), np.zeros(t), 0.0) for t in (1, 2, 3)]
    for odd in (found[::-1], [found[0], found[2]]):
        with pytest.raises(NumpyrnnError, match=r"must be of t, t \+ 1, t \+ 2"):
            plot_saliency(odd)
    with pytest.raises(NumpyrnnError, match="the norms of a must have shape"):
        plot_gradient_norms({"a": np.zeros((2, 2, 2))})
