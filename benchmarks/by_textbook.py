"""The works with the loops of `textbook.py`; generation is in NumPy's default, float64."""

import numpy as np
import textbook
from works import ADAM_RATE, CLIP, EPSILON, SGD_RATE

N_NAMES = 500  # fewer than the others generate: the time a name does not depend on the number of names


def rnn_parameters(weights):
    rnn, out = weights
    p = {"Wax": rnn["Wx"][0].T, "Waa": rnn["Wh"][0].T, "Wya": out["W"].T, "b": rnn["b"].T, "by": out["b"][:, None]}
    return {name: np.array(array, order="C") for name, array in p.items()}


def lstm_parameters(weights):
    (lstm, out), p = weights, {}
    for k, gate in enumerate("ifco"):
        p["W" + gate] = np.concatenate((lstm["Wh"][k].T, lstm["Wx"][k].T), axis=1)
        p["b" + gate] = lstm["b"][k][:, None]
    p |= {"Wy": out["W"].T, "by": out["b"][:, None]}
    return {name: np.array(array, order="C") for name, array in p.items()}


def train_single(work):
    batches = [([None, *x[1:].tolist()], targets.tolist()) for x, targets, _ in work.batches]

    def run():
        parameters, losses = rnn_parameters(work.weights), []
        a = np.zeros_like(parameters["b"])
        for X, Y in batches:
            loss, a = textbook.rnn_train_step(X, Y, a, parameters, SGD_RATE, CLIP)
            losses.append(loss)
        return {"losses": losses}

    return run


def train(work):
    def run():
        p, losses = lstm_parameters(work.weights), []
        v, s = ({name: np.zeros_like(value) for name, value in p.items()} for _ in range(2))
        for X, Y, _ in work.batches * work.rounds:
            loss, caches = textbook.lstm_forward(X, Y, p)
            gradients = textbook.lstm_backward(Y, caches, p)
            losses.append(loss)
            textbook.adam(p, gradients, v, s, len(losses), ADAM_RATE, EPSILON)
        return {"losses": losses}

    return run


def in_float64(parameters):
    return {name: value.astype(np.float64) for name, value in parameters.items()}


def names(work):
    np.random.seed(0)
    parameters = in_float64(rnn_parameters(work.weights))

    def run():
        total = sum(len(textbook.rnn_sample(parameters, limit=work.length)) for _ in range(N_NAMES))
        return {"units": total, "losses": [total / N_NAMES]}

    return run


def write(work):
    np.random.seed(0)
    parameters = in_float64(lstm_parameters(work.weights))

    def run():
        for _ in range(work.rounds):
            ids = textbook.lstm_generate(parameters, work.length, work.greedy)
        return {"losses": ids if work.greedy else []}

    return run


TABLE = {"W1": train_single, "W2": train, "W5 names": names, "W5": write}
