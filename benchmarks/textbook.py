"""Textbook loops as a baseline for speed: a dict for each step's values, one-hot columns, np.dot, a dict of gradients.

They are written as a learner would write them from the equations; nothing is slowed down on purpose.
"""

import numpy as np


def softmax(x):
    e = np.exp(x - np.max(x))
    return e / e.sum(axis=0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def rnn_train_step(X, Y, a_prev, parameters, learning_rate=0.01, limit=5):
    """Train on one name: forward, backward, clip, update. Returns the loss and the last hidden state."""
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


def rnn_sample(parameters, start=0, end=0, limit=50):
    """Sample one name; each character is fed back as a one-hot column."""
    V, H = parameters["by"].shape[0], parameters["b"].shape[0]
    x, a, ids = np.zeros((V, 1)), np.zeros((H, 1)), []
    x[start] = 1
    while len(ids) < limit:
        a = np.tanh(np.dot(parameters["Wax"], x) + np.dot(parameters["Waa"], a) + parameters["b"])
        y = softmax(np.dot(parameters["Wya"], a) + parameters["by"])
        i = np.random.choice(range(V), p=y.ravel())
        ids.append(i)
        if i == end:
            break
        x = np.zeros((V, 1))
        x[i] = 1
    return ids


def lstm_forward(X, Y, p):
    """Run a batch of ids X and Y (T, m); a step's input is one-hot (V, m). Returns the mean loss and the caches."""
    (T, m), V, H, dtype = X.shape, p["by"].shape[0], p["bf"].shape[0], p["Wf"].dtype
    a, c, caches, loss = np.zeros((H, m), dtype), np.zeros((H, m), dtype), [], 0
    for t in range(T):
        x = np.zeros((V, m), dtype)
        x[X[t], np.arange(m)] = 1
        concat = np.concatenate((a, x), axis=0)
        f = sigmoid(np.dot(p["Wf"], concat) + p["bf"])
        i = sigmoid(np.dot(p["Wi"], concat) + p["bi"])
        cct = np.tanh(np.dot(p["Wc"], concat) + p["bc"])
        o = sigmoid(np.dot(p["Wo"], concat) + p["bo"])
        c_prev, c = c, f * c + i * cct
        a = o * np.tanh(c)
        z = np.dot(p["Wy"], a) + p["by"]
        e = np.exp(z - np.max(z, axis=0))
        y = e / np.sum(e, axis=0)
        loss -= np.sum(np.log(y[Y[t], np.arange(m)])) / (T * m)
        caches.append((concat, f, i, cct, o, c, c_prev, a, y))
    return loss, caches


def lstm_backward(Y, caches, p):
    (T, m), H = Y.shape, p["bf"].shape[0]
    gradients = {"d" + name: np.zeros_like(value) for name, value in p.items()}
    da_next, dc_next = np.zeros_like(caches[0][7]), np.zeros_like(caches[0][5])
    for t in reversed(range(T)):
        concat, f, i, cct, o, c, c_prev, a, y = caches[t]
        dy = np.copy(y)
        dy[Y[t], np.arange(m)] -= 1
        dy /= T * m
        gradients["dWy"] += np.dot(dy, a.T)
        gradients["dby"] += np.sum(dy, axis=1, keepdims=True)
        da = np.dot(p["Wy"].T, dy) + da_next
        dc = dc_next + da * o * (1 - np.tanh(c) ** 2)
        dz = {
            "o": da * np.tanh(c) * o * (1 - o),
            "i": dc * cct * i * (1 - i),
            "c": dc * i * (1 - cct**2),
            "f": dc * c_prev * f * (1 - f),
        }
        dconcat = 0
        for gate in "fico":
            gradients["dW" + gate] += np.dot(dz[gate], concat.T)
            gradients["db" + gate] += np.sum(dz[gate], axis=1, keepdims=True)
            dconcat = dconcat + np.dot(p["W" + gate].T, dz[gate])
        da_next, dc_next = dconcat[:H], dc * f
    return gradients


def adam(p, gradients, v, s, t, learning_rate, epsilon, beta1=0.9, beta2=0.999):
    """Update p in place, as update number t = 1, 2, ...; v and s are dicts of moments, updated in place too."""
    for name in p:
        g = gradients["d" + name]
        v[name] = beta1 * v[name] + (1 - beta1) * g
        s[name] = beta2 * s[name] + (1 - beta2) * g**2
        v_corrected, s_corrected = v[name] / (1 - beta1**t), s[name] / (1 - beta2**t)
        p[name] = p[name] - learning_rate * v_corrected / (np.sqrt(s_corrected) + epsilon)


def lstm_generate(p, steps=50, greedy=True, start=0):
    """Generate `steps` values; each is fed back as a one-hot column."""
    V, H = p["by"].shape[0], p["bf"].shape[0]
    x, a, c, ids = np.zeros((V, 1)), np.zeros((H, 1)), np.zeros((H, 1)), []
    x[start] = 1
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
