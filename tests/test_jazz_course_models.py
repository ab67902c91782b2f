"""The models of the course's jazz exercise, on examples of their own: gradients, steps, both editions' names."""

import functools

import numpy as np
import pytest
from numpy.testing import assert_allclose

from jazz import course
from jazz.course.models import loss_and_grads
from numpyrnn import LSTM, Dense, NumpyrnnError, Sequential
from numpyrnn.activations import log_softmax
from numpyrnn.optim import SGD


def small(m=4, Tx=5, n_values=6, n_a=3, seed=0):
    """A model and examples for it, without any file."""
    rng = np.random.default_rng(seed)
    X, Y = course.windows(rng.integers(n_values, size=30), n_values, range(m), Tx)
    model = course.djmodel(Tx, *course.shared_layers(n_values, n_a))
    return model, [X, np.zeros((m, n_a)), np.zeros((m, n_a))], list(Y)


def test_loss_and_gradients_are_those_of_a_plain_pass_over_the_one_hot_rows():
    T, N, V, H = 6, 4, 7, 5
    rng = np.random.default_rng(0)
    network = Sequential(LSTM(V, H, np.float64, rng=1), Dense(H, V, np.float64, rng=2))
    x, targets = rng.integers(V, size=(T - 1, N)), rng.integers(V, size=(T, N))
    targets[-1], targets[2, 1] = -1, -1
    a0, c0 = rng.standard_normal((2, N, H))
    loss, grads = loss_and_grads(network, x, targets, a0, c0)

    X, Y = np.zeros((T, N, V)), np.where((targets >= 0)[..., None], np.eye(V)[targets], 0)
    X[1:] = np.eye(V)[x]
    logits, _, cache = network.forward(X, ((a0, c0), None))
    log_p = log_softmax(logits)
    assert_allclose(loss, -(Y * log_p).sum(axis=2).mean(axis=1).sum(), rtol=1e-12)
    _, _, expected = network.backward((np.exp(log_p) * Y.sum(axis=2, keepdims=True) - Y) / N, cache)
    for name, gradient in expected.items():
        assert np.abs(gradient).max() > 1e-3
        assert_allclose(grads[name], gradient, rtol=1e-9, atol=1e-14, err_msg=name)


def test_an_epoch_of_one_batch_is_one_step_along_the_gradient():
    model, inputs, Y = small()
    before = model.evaluate(inputs, Y)
    network = Sequential(model.LSTM_cell.copy(), model.densor.copy())
    ids = inputs[0][:, 1:].argmax(axis=2).T
    targets = np.vstack([ids, np.full(4, -1)])
    loss, grads = loss_and_grads(network, ids, targets, inputs[1], inputs[2])
    model.compile(SGD(0.1))
    history = model.fit(inputs, np.array(Y), epochs=1, verbose=0).history
    assert_allclose(history["loss"], [loss], rtol=1e-6)
    assert_allclose(before, loss, rtol=1e-6)
    trained = np.concatenate([model.LSTM_cell.params.flat, model.densor.params.flat])
    assert_allclose(trained, network.params.flat - 0.1 * grads.flat, rtol=1e-5, atol=1e-7)


def test_there_is_one_update_a_batch():
    model, inputs, Y = small(m=5)
    model.fit(inputs, Y, epochs=3, batch_size=2, verbose=0)
    assert model.optimizer.t == 3 * 3


def test_the_initial_states_count():
    model, inputs, Y = small()
    X, a0, c0 = inputs
    assert model.evaluate([X, a0 + 1, c0], Y) != model.evaluate(inputs, Y) != model.evaluate([X, a0, c0 + 1], Y)


def test_a_training_repeats_and_another_seed_gives_another():
    results = []
    for seed in (0, 0, 1):
        model, inputs, Y = small(m=6)
        losses = model.fit(inputs, Y, epochs=4, batch_size=2, verbose=0, seed=seed).history["loss"]
        results.append((losses, model.densor.params.flat.tolist()))
    assert results[0] == results[1] != results[2]


def test_verbose_prints_a_line_an_epoch_and_on_epoch_sees_the_same(capsys):
    model, inputs, Y = small()
    seen = []
    losses = model.fit(inputs, Y, epochs=2, on_epoch=lambda *which: seen.append(which)).history["loss"]
    assert capsys.readouterr().out.splitlines() == [f"Epoch {i}/2 - loss: {losses[i - 1]:.4f}" for i in (1, 2)]
    assert seen == [(1, losses[0]), (2, losses[1])]
    model.fit(inputs, Y, epochs=1, verbose=0)
    assert capsys.readouterr().out == ""


def test_models_that_share_layers_train_the_same_weights():
    first, inputs, Y = small()
    second = course.djmodel(5, first.LSTM_cell, first.densor)
    writer = course.music_inference_model(first.LSTM_cell, first.densor, Ty=3)
    for model in (second, first, second):
        loss, written = first.evaluate(inputs, Y), writer.predict(writer.zeros())
        model.fit(inputs, Y, epochs=2, verbose=0)
        assert first.evaluate(inputs, Y) == second.evaluate(inputs, Y) < loss
        assert np.abs(writer.predict(writer.zeros()) - written).max() > 1e-4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, a, c, Y: ([X, a], Y), r"inputs must be \[X, a0, c0\], got 2 arrays"),
        (lambda X, a, c, Y: ([X[:, :-1], a, c], Y), r"X must have shape \(m, 5, 6\), got \(4, 4, 6\)"),
        (lambda X, a, c, Y: ([X, a, c], Y[:-1]), r"Y must have shape \(5, 4, 6\), got \(4, 4, 6\)"),
        (lambda X, a, c, Y: ([X, a[:1], c], Y), r"a0 must have shape \(4, 3\), got \(1, 3\)"),
        (lambda X, a, c, Y: ([X, a, c[:, :2]], Y), r"c0 must have shape \(4, 3\), got \(4, 2\)"),
        (lambda X, a, c, Y: ([X / 2, a, c], Y), "X must be one-hot or zero"),
        (lambda X, a, c, Y: ([X, a, c], [np.ones_like(Y[0])] * 5), "Y must be one-hot or zero"),
        (lambda X, a, c, Y: ([X[:, ::-1], a, c], Y), "X must be zero in its first step and one-hot in all others"),
        (lambda X, a, c, Y: ([0 * X, a, c], Y), "X must be zero in its first step and one-hot in all others"),
    ],
)
def test_malformed_examples_are_an_error(change, message):
    model, (X, a0, c0), Y = small()
    with pytest.raises(NumpyrnnError, match=message) as error:
        model.fit(*change(X, a0, c0, Y), epochs=1, verbose=0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("arguments", [{"optimizer": "adam"}, {"loss": "mse"}])
def test_compile_takes_our_optimisers_and_one_loss(arguments):
    with pytest.raises(NumpyrnnError, match="compile needs an Optimizer and the loss 'categorical_crossentropy'"):
        small()[0].compile(**arguments)


def test_both_editions_ways_to_make_the_training_model():
    LSTM_cell, densor, reshaper = course.shared_layers(78, 8)
    assert reshaper == (1, 78)
    model = course.djmodel(30, LSTM_cell, densor, reshaper)
    assert (model.LSTM_cell, model.densor) == (LSTM_cell, densor)
    for old in (course.djmodel(30, 8, 78), course.djmodel(Tx=30, n_a=8, n_values=78)):
        assert (old.Tx, old.LSTM_cell.hidden_size, old.densor.output_size) == (30, 8, 78)
        assert old.count_params() == model.count_params() == 4 * (78 * 8 + 8 * 8 + 8) + 8 * 78 + 78


def test_both_editions_ways_to_make_the_writing_model():
    LSTM_cell, densor, _ = course.shared_layers(5, 3)
    make = functools.partial(course.music_inference_model, LSTM_cell, densor)
    assert [make().Ty, make(7).Ty, make(Ty=7).Ty] == [100, 7, 7]
    assert [make(n_values=5, n_a=3, Ty=7).Ty, make(5, 3, 7).Ty, make(5, 3, Ty=7).Ty] == [7, 7, 7]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda cell, dense: course.djmodel(30), "djmodel needs LSTM_cell and densor, or n_a and n_values; got None"),
        (lambda cell, dense: course.djmodel(30, cell), "djmodel needs LSTM_cell and densor, or n_a"),
        (lambda cell, dense: course.djmodel(30, cell, dense, (1, 6)), "n_values must be that of the layers, 5, got 6"),
        (lambda cell, dense: course.djmodel(1, cell, dense), "Tx must be a whole number of at least 2, got 1"),
        (lambda cell, dense: course.djmodel(30, cell, Dense(3, 6)), "densor must map the units of LSTM"),
        (lambda cell, dense: course.music_inference_model(dense, cell), "needs an LSTM and a Dense layer"),
        (lambda cell, dense: course.music_inference_model(cell, dense, n_a=64), "n_a must be that of the layers, 3"),
        (lambda cell, dense: course.music_inference_model(cell, dense, 78, 3, 9), "n_values must be .* 5, got 78"),
        (lambda cell, dense: course.music_inference_model(cell, dense, 5, 3, 9, 1), "takes Ty, or n_values, n_a, Ty"),
        (lambda cell, dense: course.music_inference_model(cell, dense, 0), "Ty must be a whole number of at least 1"),
    ],
)
def test_what_makes_no_model_is_an_error(make, message):
    LSTM_cell, densor, _ = course.shared_layers(5, 3)
    with pytest.raises(NumpyrnnError, match=message) as error:
        make(LSTM_cell, densor)
    assert "\n" not in str(error.value)


def test_the_initializers_count():
    model, _, _ = small()
    writer = course.music_inference_model(model.LSTM_cell, model.densor, Ty=4)
    x, a, c = writer.zeros()
    plain = writer.predict([x, a, c])
    for other in ([np.eye(6)[None, None, 2], a, c], [x, a + 1, c], [x, a, c + 1]):
        assert np.abs(writer.predict(other) - plain).max() > 1e-4


@pytest.mark.parametrize(
    ("place", "shape", "message"),
    [
        (0, (1, 6), r"x_initializer must have shape \(N, 1, 6\), got \(1, 6\)"),
        (1, (1, 4), r"a_initializer must have shape \(1, 3\), got \(1, 4\)"),
        (2, (2, 3), r"c_initializer must have shape \(1, 3\), got \(2, 3\)"),
    ],
)
def test_initializers_of_another_shape_are_an_error(place, shape, message):
    model, _, _ = small()
    writer = course.music_inference_model(model.LSTM_cell, model.densor, Ty=4)
    arrays = writer.zeros()
    arrays[place] = np.zeros(shape)
    with pytest.raises(NumpyrnnError, match=message):
        course.predict_and_sample(writer, *arrays)
