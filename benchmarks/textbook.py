"""The textbook loops that the engine is timed against: per-step dicts, one-hot columns, np.dot, a gradient dict.

Written as a learner writes them from the equations; nothing here is slowed down on purpose.
"""

import numpy as np


def softmax(x):
    e = np.exp(x - np.max(x))
    return e / e.sum(axis=0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn_parameters(V=27, H=50, seed=1):
    draw = np.random.RandomState(seed)
    weights = {"Wax": draw.randn(H, V) * 0.01, "Waa": draw.randn(H, H) * 0.01, "Wya": draw.randn(V, H) * 0.01}
    return {**weights, "b": np.zeros((H, 1)), "by": np.zeros((V, 1))}


def rnn_train_step(X, Y, a_prev, parameters, learning_rate=0.01, limit=5):
    """One name: forward, backward, clip, update. Returns loss and last hidden state."""
    V = parameters["by"].shape[0]
    x, a, y_hat, loss = {}, {-1: a_prev}, {}, 0
    for t in range(len(X)):
        x[t] = np.zeros((V, 1))
        if X[t] is not None:
            x[t][X[t]] = 1
        a[t] = np.tanh(np.dot(parameters["Wax"], x[t]) + np.dot(parameters["Waa"], a[t - 1]) + parameters["b"])
        y_hat[t] = softmax(np.dot(parameters["Wya"], a[t]) + parameters["by"])
        loss -= np.log(y_hat[t][Y[t], 0])

    gradients = {"d" + name: np.zeros_like(value) for name, value in parameters.items()}
    da_next = np.zeros_like(a_prev)
    for t in reversed(range(len(X))):
        dy = np.copy(y_hat[t])
        dy[Y[t]] -= 1
        gradients["dWya"] += np.dot(dy, a[t].T)
        gradients["dby"] += dy
        da = np.dot(parameters["Wya"].T, dy) + da_next
        dz = (1 - a[t] * a[t]) * da
        gradients["db"] += dz
        gradients["dWax"] += np.dot(dz, x[t].T)
        gradients["dWaa"] += np.dot(dz, a[t - 1].T)
        da_next = np.dot(parameters["Waa"].T, dz)

    for name in gradients:
        gradients[name] = np.clip(gradients[name], -limit, limit)
    for name in parameters:
        parameters[name] += -learning_rate * gradients["d" + name]
    return loss, a[len(X) - 1]


def rnn_sample(parameters, end=0, limit=50, seed=None):
    """One name, character by character; the course seeds its generator before every draw, others do not."""
    V, H = parameters["by"].shape[0], parameters["b"].shape[0]
    x, a, ids = np.zeros((V, 1)), np.zeros((H, 1)), []
    while len(ids) < limit:
        a = np.tanh(np.dot(parameters["Wax"], x) + np.dot(parameters["Waa"], a) + parameters["b"])
        y = softmax(np.dot(parameters["Wya"], a) + parameters["by"])
        if seed is not None:
            np.random.seed(seed + 2 * len(ids))
        i = np.random.choice(range(V), p=y.ravel())
        ids.append(i)
        if i == end:
            break
        x = np.zeros((V, 1))
        x[i] = 1
    return ids


def lstm_parameters(V=90, H=64, seed=1):
    draw = np.random.RandomState(seed)
    weights = {"W" + gate: draw.randn(H, H + V) / np.sqrt(H + V) for gate in "fico"}
    biases = {"b" + gate: np.zeros((H, 1)) for gate in "fico"}
    return {**weights, **biases, "Wy": draw.randn(V, H) / np.sqrt(H), "by": np.zeros((V, 1))}


def lstm_generate(p, steps=50, greedy=True):
    """A sequence of `steps` values, each fed back as a one-hot column."""
    V, H = p["by"].shape[0], p["bf"].shape[0]
    x, a, c, ids = np.zeros((V, 1)), np.zeros((H, 1)), np.zeros((H, 1)), []
    for _ in range(steps):
        concat = np.concatenate((a, x), axis=0)
        f = sigmoid(np.dot(p["Wf"], concat) + p["bf"])
        i = sigmoid(np.dot(p["Wi"], concat) + p["bi"])
        cct = np.tanh(np.dot(p["Wc"], concat) + p["bc"])
        c = f * c + i * cct
        o = sigmoid(np.dot(p["Wo"], concat) + p["bo"])
        a = o * np.tanh(c)
        y = softmax(np.dot(p["Wy"], a) + p["by"])
        value = int(np.argmax(y)) if greedy else np.random.choice(range(V), p=y.ravel())
        ids.append(value)
        x = np.zeros((V, 1))
        x[value] = 1
    return ids
