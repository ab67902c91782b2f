"""A look inside: gates, saliency and gradient norms against their definitions, and what units answer to."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from numpyrnn import (
    GRU,
    LSTM,
    RNN,
    Checkpoint,
    Dense,
    Dropout,
    Embedding,
    GlobalMaxPool1D,
    LastStep,
    MaxPool1D,
    NumpyrnnError,
    ReLU,
    Sequential,
    Vocabulary,
    cells,
)
from numpyrnn.activations import log_softmax
from numpyrnn.gradcheck import check_function
from numpyrnn.inspect import CLASSES, gates, gradient_norms, saliency, top_units

V, D, H, T = 6, 3, 4, 7
A = {"dtype": np.float64, "rng": 0}
KINDS = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}


def network(kind, depth=1, embedded=True, before=(), after=(), dtype=np.float64, seed=0, **options):
    """A model from ids to logits, with weights that are not small and biases that are not zero."""
    rng = np.random.default_rng(seed)
    layers = [Embedding(V, D, dtype, rng), *before] if embedded else []
    for i in range(depth):
        layers.append(KINDS[kind](D if embedded and i == 0 else H if i else V, H, dtype, rng, **options))
        layers.append(Dropout(0.5, dtype=dtype))
    model = Sequential(*layers, *after, Dense(H, V, dtype, rng))
    model.params.flat[...] += rng.normal(0, 0.3, model.params.flat.shape)
    return model


MODELS = {
    **{f"{kind}, {depth} deep": (lambda k=kind, d=depth: network(k, d)) for kind in KINDS for depth in (1, 2, 3)},
    **{f"{kind}, one-hot": (lambda k=kind: network(k, 2, embedded=False)) for kind in KINDS},
    **{f"{kind}, weight dropout": (lambda k=kind: network(k, 1, weight_dropout=0.5)) for kind in KINDS},
    "hard LSTM": lambda: network("LSTM", 2, hard_sigmoid=True),
    "last step": lambda: network("GRU", 1, after=[LastStep()]),
    "dropout below": lambda: network("LSTM", 1, before=[Dropout(0.3, "features")]),
    "model in model": lambda: Sequential(
        Sequential(Embedding(V, D, **A), Sequential(GRU(D, H, **A), Dropout(0.5))), RNN(H, H, **A), Dense(H, V, **A)
    ),
}
IDS = np.array([2, 0, 5, 5, 1, 3, 4])


def parts_of(model):
    """The layers of a model one after the other."""
    return [part for layer in model.layers for part in parts_of(layer)] if isinstance(model, Sequential) else [model]


def vectors_of(model, ids):
    """The vectors that enter the first layer above the embedding, and the layers from there on."""
    first, *rest = parts_of(model)
    if isinstance(first, Embedding):
        return first.params["W"][ids], rest
    return np.eye(V)[ids], [first, *rest]


def log_p(layers, x, target):
    """The log probability of a token, from real or complex vectors (t, D)."""
    y = x[:, None]
    for layer in layers:
        y = (layer.copy(np.complex128) if y.dtype.kind == "c" else layer)(y)
    return log_softmax(y)[-1, 0, target]


def check_saliency(model, ids, t):
    """The report on the gradient of `saliency`, by complex steps and central differences."""
    found = saliency(model, ids, t)
    x, layers = vectors_of(model, ids)
    return check_function(lambda arrays: log_p(layers, arrays["x"], ids[t]), {"x": x[:t]}, {"x": found.gradient})


@pytest.mark.parametrize("t", [1, 4, T - 1])
@pytest.mark.parametrize("name", MODELS)
def test_saliency_is_the_derivative_of_the_log_probability(name, t):
    report = check_saliency(MODELS[name](), IDS, t)
    assert report.ok, report
    assert not report[0].why  # the complex step judged, too


@pytest.mark.parametrize("name", MODELS)
def test_saliency_has_the_norm_of_each_step_and_the_log_probability(name):
    model = MODELS[name]()
    gradient, norm, value = saliency(model, IDS, 5)
    x, layers = vectors_of(model, IDS)
    assert gradient.shape == x[:5].shape
    assert_allclose(norm, np.sqrt((gradient**2).sum(axis=1)), rtol=1e-12)
    assert_allclose(value, log_p(layers, x[:5], IDS[5]), rtol=1e-12)


def jacobian(layer, x, state, step, by):
    """The derivative of h after the inputs x (T, 1, D) with respect to h in `state`: a unit in each row of a batch."""
    twin, size = layer.copy(np.complex128) if by == "complex" else layer, layer.hidden_size
    wide = [np.repeat(part, size, axis=0) for part in state]

    def run(change):
        start = (wide[0] + change * np.eye(size), *wide[1:])
        end = twin.forward(np.repeat(x, size, axis=1), start if len(start) > 1 else start[0])[1]
        return end[0] if isinstance(end, tuple) else end

    return (run(1j * step).imag if by == "complex" else (run(step) - run(-step)) / 2) / step


def expected_norms(model, ids, by, step):
    """The norms by distance of every recurrent layer, from its forward pass alone."""
    x, layers = vectors_of(model, ids)
    x, norms = x[:, None], []
    for layer in layers:
        if isinstance(layer, RNN | LSTM | GRU):
            zero = np.zeros((1, layer.hidden_size))
            states = [(zero, zero) if isinstance(layer, LSTM) else (zero,)]
            for t in range(len(x)):
                state = layer.forward(x[: t + 1])[1]
                states.append(state if isinstance(state, tuple) else (state,))
            found = [jacobian(layer, x[t:], states[t], step, by) for t in range(len(x))]
            norms.append([1.0, *(np.linalg.svd(j)[1][0] for j in reversed(found))])
        x = layer(x)
    return norms


@pytest.mark.parametrize("name", MODELS)
def test_gradient_norms_are_those_of_the_jacobian_by_complex_steps(name):
    model = MODELS[name]()
    assert_allclose(gradient_norms(model, IDS), expected_norms(model, IDS, "complex", 1e-30), rtol=1e-11)


@pytest.mark.parametrize("name", MODELS)
def test_gradient_norms_are_those_of_the_jacobian_by_central_differences(name):
    model = MODELS[name]()
    assert_allclose(gradient_norms(model, IDS), expected_norms(model, IDS, "central", 1e-5), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_in_a_cell_is_noticed_in_saliency_and_norms(kind, monkeypatch, plain):
    cell = getattr(cells, kind)
    right = cell.backward

    def wrong(self, t, n):
        right(self, t, n)
        self.dz[..., 0] *= 1.001  # one unit

    monkeypatch.setattr(cell, "backward", wrong)
    model = network(kind, 2)
    assert not check_saliency(model, IDS, 4).ok
    with pytest.raises(AssertionError, match="Not equal"):
        assert_allclose(gradient_norms(model, IDS), expected_norms(model, IDS, "complex", 1e-30), rtol=1e-11)


def test_a_forgotten_layer_is_noticed_in_saliency(monkeypatch):
    model = network("LSTM", 2)
    monkeypatch.setattr(Dense, "run_back", lambda self, dy, *rest: (dy[..., :H], None))
    assert not check_saliency(model, IDS, 4).ok


@pytest.mark.torture
def test_saliency_of_random_models_is_exact(rounds, tell):
    rng, worst, tries = np.random.default_rng(0), 0.0, rounds(5, 150)
    for seed in range(tries):
        kind, depth, embedded = rng.choice([*KINDS]), int(rng.integers(1, 4)), bool(rng.integers(2))
        ids = rng.integers(0, V, rng.integers(2, 12))
        report = check_saliency(network(kind, depth, embedded, seed=seed), ids, int(rng.integers(1, len(ids))))
        assert report.ok, (seed, report)
        worst = max(worst, report[0].norm)
    tell(f"saliency of {tries} random models: at most {worst:.0e} from the complex step")


# gates


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@pytest.mark.parametrize("name", MODELS)
def test_gates_and_states_fulfil_the_equations_of_every_layer(name):
    model = MODELS[name]()
    x, layers = vectors_of(model, IDS)
    recurrent = [layer for layer in layers if isinstance(layer, RNN | LSTM | GRU)]
    found = gates(model, IDS)
    assert len(found) == len(recurrent)
    for layer, one in zip(recurrent, found, strict=True):
        p, h = layer.params, one["h"]
        h_prev = np.vstack([np.zeros(h.shape[1]), h[:-1]])
        if isinstance(layer, RNN):
            assert [*one] == ["h"]
            assert_allclose(h, np.tanh(x @ p["Wx"] + h_prev @ p["Wh"] + p["b"]), rtol=1e-12)
        elif isinstance(layer, LSTM):
            assert [*one] == ["o", "i", "f", "g", "h", "c"]
            squash = (lambda z: np.clip(z / 5 + 0.5, 0, 1)) if layer.hard_sigmoid else sigmoid
            for k, letter in enumerate("oifg"):
                z = x @ p["Wx"][k] + h_prev @ p["Wh"][k] + p["b"][k]
                assert_allclose(one[letter], np.tanh(z) if letter == "g" else squash(z), rtol=1e-11)
            c_prev = np.vstack([np.zeros(h.shape[1]), one["c"][:-1]])
            assert_allclose(one["c"], one["i"] * one["g"] + one["f"] * c_prev, rtol=1e-12)
            assert_allclose(h, one["o"] * np.tanh(one["c"]), rtol=1e-12)
        else:
            assert [*one] == ["r", "z", "n", "h"]
            for k, letter in enumerate("rz"):
                assert_allclose(one[letter], sigmoid(x @ p["Wx"][k] + h_prev @ p["Wh"][k] + p["b"][k]), rtol=1e-11)
            candidate = x @ p["Wx"][2] + p["b"][2] + one["r"] * (h_prev @ p["Wh"][2] + p["bh"])
            assert_allclose(one["n"], np.tanh(candidate), rtol=1e-11)
            assert_allclose(h, (1 - one["z"]) * one["n"] + one["z"] * h_prev, rtol=1e-11)
        x = h


@pytest.mark.extra("fast")
@pytest.mark.parametrize("name", MODELS)
def test_the_compiled_cells_show_the_same(name, choose):
    model, seen = MODELS[name](), []
    for back_end in ("plain", "fast"):
        choose(back_end)
        found = gates(model, IDS)
        arrays = [array for one in found for array in one.values()]
        seen.append([*arrays, saliency(model, IDS, 4).gradient, *gradient_norms(model, IDS)])
    for plain, fast in zip(*seen, strict=True):
        assert_allclose(fast, plain, rtol=1e-10, atol=1e-13)


def test_a_cell_of_ones_own_shows_its_states_and_the_gates_that_it_names():
    class Leaky(cells.Cell):
        n_states = 3

        def at(self, t, n):
            return self.z[:, t, :n], self.hWh[:, :n], *(state[t + 1, :n] for state in self.states)

        def step(self, x, views):
            _, hWh, h, c, other = views
            h[...], c[...], other[...] = np.tanh(x + hWh)[0], 2, 3

    class Mine(RNN):
        cell = Leaky

    model = Sequential(Mine(V, H, **A), Dense(H, V, **A))
    assert [*gates(model, IDS)[0]] == ["h", "c", "state 2"]
    Leaky.letters = "a"
    found = gates(model, IDS)[0]
    assert [*found] == ["a", "h", "c", "state 2"]
    assert np.all(found["state 2"] == 3)


def test_a_checkpoint_and_its_float32_model_are_looked_into_in_float64_and_stay_as_they_are():
    model = network("LSTM", 2, dtype=np.float32)
    before = model.params.flat.copy()
    checkpoint = Checkpoint("numpyrnn", model, Vocabulary("abcdef"))
    for function in (gates, gradient_norms):
        by_model, by_file = function(model, IDS), function(checkpoint, IDS)
        assert_array_equal(by_model[1]["c"] if function is gates else by_model[1], get(by_file, function))
        assert get(by_file, function).dtype == np.float64
    assert_array_equal(saliency(model, IDS, 3).gradient, saliency(checkpoint, IDS, 3).gradient)
    assert_array_equal(model.params.flat, before)
    assert model.dtype == np.float32


def get(found, function):
    return found[1]["c"] if function is gates else found[1]


# what the issue says of untrained networks


@pytest.mark.parametrize(("kind", "figure"), [("RNN", 2e-11), ("LSTM", 2e-5), ("GRU", 7e-16)])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_left_of_a_gradient_after_100_steps_of_an_untrained_network(kind, figure, seed):
    rng = np.random.default_rng(seed)
    model = Sequential(Embedding(27, 16, rng=rng), KINDS[kind](16, 128, rng=rng), Dense(128, 27, rng=rng))
    (norms,) = gradient_norms(model, rng.integers(0, 27, 100))
    assert norms.shape == (101,)
    assert norms[0] == 1
    assert 1 / 20 < norms[100] / figure < 20


# units


def speller(letters):
    """An RNN over the tokens, whose unit 0 is high just after `letters`, unit 1 low there, and unit 2 always 0.5."""
    vocabulary = Vocabulary("abcdefgh \n\"AB'.!é1")
    model = Sequential(RNN(len(vocabulary), 3, **A), Dropout(0.5), Dense(3, len(vocabulary), **A))
    marked = np.array([token in letters for token in vocabulary.tokens])
    model[0].params.flat[...] = 0
    model[0].params["Wx"][:, 0], model[0].params["Wx"][:, 1] = np.where(marked, 2, -1), np.where(marked, -0.1, 0.1)
    model[0].params["b"][2] = np.arctanh(0.5)
    return Checkpoint("numpyrnn", model, vocabulary)


TEXTS = ["abc dé\n", 'A "bed" fed.\nB!', "aabb1 1 '", "h\n\nae"]


@pytest.mark.parametrize(
    ("what", "letters"),
    [
        ("vowel", "aeAé"),
        ("capital", "AB"),
        ("digit", "1"),
        ("space", " "),
        ("line end", "\n"),
        ("punctuation", "\"'.!"),
    ],
)
def test_a_unit_that_answers_to_one_class_alone_is_found(what, letters):
    found = [answer for answer in top_units(speller(letters), TEXTS * 5, n=3) if answer.what == what]
    by_unit = {answer.unit: answer for answer in found}
    assert sorted(by_unit) == [0, 1]  # unit 2 never changes
    assert_allclose([by_unit[0].correlation, by_unit[1].correlation], [1, -1])
    assert by_unit[0].highest[0] in letters
    assert by_unit[1].highest[0] not in letters


def test_correlations_are_those_of_numpy_over_all_steps_of_all_texts():
    checkpoint = Checkpoint("numpyrnn", network("GRU", 2), Vocabulary("abc de"))
    texts = ["ab", "deaf bc".replace("f", "c"), "a", "eeeeebbb c d"] * 30
    answers = top_units(checkpoint, texts, n=2 * H)
    read = [gates(checkpoint, checkpoint.vocabulary.encode(text)) for text in texts]
    for what in ("vowel", "space", "place in the line"):
        marks = [mark for text in texts for mark in CLASSES[what](text)]
        found = [answer for answer in answers if answer.what == what]
        assert len(found) == 2 * H
        for answer in found:
            h = np.concatenate([one[answer.layer]["h"][:, answer.unit] for one in read])
            assert_allclose(answer.correlation, np.corrcoef(h, marks)[0, 1], rtol=1e-9)
        (best,) = (answer for answer in top_units(checkpoint, texts) if answer.what == what)
        assert abs(best.correlation) == max(abs(answer.correlation) for answer in found)
    assert [abs(a.correlation) for a in answers] == sorted((abs(a.correlation) for a in answers), reverse=True)


def test_the_tokens_after_which_a_unit_is_highest_are_those_of_the_largest_mean():
    checkpoint = Checkpoint("numpyrnn", network("LSTM"), Vocabulary("abc de"))
    text = "abc de" * 5 + "dada ecce b"
    best = top_units(checkpoint, [text])[0]
    h = gates(checkpoint, checkpoint.vocabulary.encode(text))[best.layer]["h"][:, best.unit]
    means = {token: np.mean([value for value, read in zip(h, text, strict=True) if read == token]) for token in text}
    assert list(best.highest) == sorted(means, key=lambda token: -means[token])[:3]


def test_a_rare_token_is_not_named():
    checkpoint = speller("h")
    answers = top_units(checkpoint, ["abc" * 9 + "h"], n=3)
    assert {answer.unit for answer in answers} == {0, 1}
    assert not any("h" in answer.highest for answer in answers)
    assert top_units(checkpoint, ["abhh"])[0].highest[0] == "h"  # in a short text, all are rare


@pytest.mark.parametrize(
    ("what", "text", "marks"),
    [
        ("in quotes", 'a "b" c “d” «e» „f“ g', "001100001100110011000"),
        ("place in the line", "ab\nc\n\nd", "1201001"),
        ("vowel", "aÄx\nyÉ b", "11000100"),
        ("punctuation", "a.-!\n;1 «", "011101001"),
        ("line end", "a\nb", "010"),
        ("space", "a b\t\n", "01010"),
    ],
)
def test_the_classes_say_what_their_names_say(what, text, marks):
    assert CLASSES[what](text) == [float(mark) for mark in marks]


def test_classes_of_ones_own_take_tokens_of_any_length():
    vocabulary = Vocabulary(["E-5", "0.4.7", "C4"])
    model = Sequential(Embedding(3, 2, **A), LSTM(2, 3, **A), Dense(3, 3, **A))
    texts = [["E-5", "0.4.7", "C4", "C4"], ["0.4.7", "E-5"]]
    chords = {"chord": lambda tokens: ["." in token for token in tokens]}
    (answer,) = top_units(model, texts, vocabulary, classes=chords)
    assert answer.what == "chord"
    assert set(answer.highest) <= {*vocabulary.tokens}


# what cannot be looked into


@pytest.mark.parametrize("function", [gates, gradient_norms, lambda model, ids: saliency(model, ids, 1)])
@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([], "ids must be one sequence of integers, not empty"),
        ([0, V], rf"ids must hold ids from 0 to {V - 1}, got 0 to {V}"),
        ([0, -1], "ids must hold ids from 0"),
        ([0.5, 1.0], "ids must be one sequence of integers"),
        ([[0], [1]], r"ids must be one sequence of integers, not empty, got int\d+ of shape \(2, 1\)"),
        (3, "ids must be one sequence of integers"),
        ("abc", "ids must be one sequence of integers"),
        ([[0], [1, 2]], "ids must be an array"),
        (None, "ids must be one sequence of integers"),
    ],
)
def test_ids_that_are_none_or_unknown_are_one_error(function, ids, message):
    for embedded in (True, False):
        with pytest.raises(NumpyrnnError, match=message):
            function(network("GRU", embedded=embedded), ids)


@pytest.mark.parametrize("t", [0, T, -1, 2.0, None, "1", True])
def test_a_token_out_of_range_is_one_error(t):
    with pytest.raises(NumpyrnnError, match=r"t, an index of 7 ids above 0, must be a whole number of at"):
        saliency(network("RNN"), IDS, t)


def test_a_single_id_has_nothing_to_predict():
    with pytest.raises(NumpyrnnError, match="t, an index of 1 ids above 0"):
        saliency(network("RNN"), [0], 1)


@pytest.mark.parametrize("function", [gates, gradient_norms, lambda model, ids: saliency(model, ids, 1)])
@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Sequential(Embedding(V, D, **A), Dense(D, V, **A)), "must have a recurrent layer"),
        (Embedding(V, D, **A), "must have a recurrent layer"),
        (Sequential(ReLU(), GlobalMaxPool1D()), "must have a recurrent layer"),
        (network("RNN").copy(np.complex128), "must be a Sequential of real numbers"),
        ("model.npz", "must be a Sequential of real numbers, or a checkpoint, got 'model.npz'"),
        (None, "must be a Sequential of real numbers"),
    ],
)
def test_a_model_without_a_recurrent_layer_is_one_error(function, model, message):
    with pytest.raises(NumpyrnnError, match=message):
        function(model, IDS)


def test_a_target_that_the_logits_do_not_have_is_one_error():
    with pytest.raises(NumpyrnnError, match="targets must hold ids from 0 to 1"):
        saliency(Sequential(RNN(V, H, **A), Dense(H, 2, **A)), IDS, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": []}, "texts must hold one text or more"),
        ({"texts": ["ab", ""]}, "none of them empty"),
        ({"texts": ["xyz"]}, "unknown: 'x' 'y' 'z'"),
        ({"n": 0}, "n must be a whole number of at least 1"),
        ({"classes": {"odd": lambda tokens: [1.0]}}, r"class 'odd' must have shape \(2,\), got \(1,\)"),
        ({"classes": {"odd": lambda tokens: [np.nan] * len(tokens)}}, "class 'odd' must be finite"),
    ],
)
def test_top_units_says_what_is_wrong_in_one_error(arguments, message):
    with pytest.raises(NumpyrnnError, match=message):
        top_units(speller("a"), **{"texts": ["ab"], **arguments})


def test_top_units_needs_a_vocabulary_that_fits():
    model = speller("a").model
    with pytest.raises(NumpyrnnError, match="top_units needs a vocabulary"):
        top_units(model, ["ab"])
    with pytest.raises(NumpyrnnError, match="ids must hold ids from 0"):
        top_units(network("RNN", embedded=False), ["aAé"], Vocabulary("abcdefgh \n\"AB'.!é1"))
    pooled = Sequential(RNN(18, 3, **A), MaxPool1D(2), RNN(3, 2, **A))
    with pytest.raises(NumpyrnnError, match="must keep the steps, MaxPool1D"):
        top_units(pooled, ["abba"], speller("a").vocabulary)


def test_one_string_is_one_text():
    assert top_units(speller("a"), "abba cab") == top_units(speller("a"), ["abba cab"])
