"""The works in numpyrnn, as its users would write them."""

import os
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import numpy as np
from works import ADAM_RATE, CLIP, EPSILON, SGD_RATE

from dinos.single import SingleRNN
from numpyrnn import LSTM, RNN, Dense, Sequential
from numpyrnn.batches import Batch
from numpyrnn.optim import Adam
from numpyrnn.sampling import Sampler, generate
from numpyrnn.stepper import Stepper
from numpyrnn.threads import blas_threads, loss_and_gradients

THREADS = int(os.environ["OPENBLAS_NUM_THREADS"])  # `arena.py` sets it
FEWEST = 16  # sequences that are worth a thread
GATES = ["ifgo".index(gate) for gate in "oifg"]  # from the works' order of gates to numpyrnn's


def layer_of(p):
    if "W" in p:
        layer, order = Dense(*p["W"].shape, p["W"].dtype, rng=0), ...
    else:
        gates, D, H = p["Wx"].shape
        layer, order = (LSTM, GATES) if gates == 4 else (RNN, 0)
        layer = layer(D, H, p["Wx"].dtype, rng=0)
    for name, array in p.items():
        layer.params[name] = array[order]
    return layer


def model_of(work):
    return Sequential([layer_of(p) for p in work.weights])


def train_single(work):
    model = model_of(work)
    single, initial = SingleRNN(model), model.params.flat.copy()

    def run():
        model.params.flat[...] = initial
        h, losses = np.zeros(single.H), []
        for x, targets, _ in work.batches:
            losses.append(single(x, targets, h))
            single.update(SGD_RATE, CLIP)
            h = single.h
        return {"losses": losses}

    return run


def train(work):
    model = model_of(work)
    initial, grads = model.params.flat.copy(), model.params.zeros_like()
    batches = [Batch(*batch) for batch in work.batches]

    def run():
        model.params.flat[...] = initial
        adam, losses = Adam(ADAM_RATE, epsilon=EPSILON), []
        with blas_threads(THREADS):
            for batch in batches * work.rounds:
                loss, _ = loss_and_gradients(model, batch, grads, workers=THREADS)
                adam.update(model.params.flat, grads.flat)
                losses.append(loss)
        return {"losses": losses}

    return run


def norms(*arrays):
    return [np.linalg.norm(array.astype(np.float64)) for array in arrays]


def layer(work):
    """Several threads divide the sequences, as several workers do in training; few sequences use BLAS's threads."""
    lstm, ((x, dh, _),) = layer_of(work.weights[0]), work.batches
    if 1 < THREADS <= x.shape[1] // FEWEST:
        return layer_in_parts(work, lstm, x, dh)
    grads = lstm.params.zeros_like()

    def run():
        forward = 0.0
        for _ in range(work.rounds):
            start = perf_counter()
            h, _, cache = lstm.forward(x)
            forward += perf_counter() - start
            dx, _, _ = lstm.backward(dh, cache, grads=grads)
        return {"forward": forward, "losses": lambda: norms(h, dx, grads["Wx"], grads["Wh"])}

    return run


def layer_in_parts(work, lstm, *arrays):
    """Each thread runs forward and backward over its part of the sequences; then the gradients are added in order."""
    xs, dhs = ([np.ascontiguousarray(part) for part in np.array_split(array, THREADS, axis=1)] for array in arrays)
    first, *others = grads = [lstm.params.zeros_like() for _ in xs]
    executor, results = ThreadPoolExecutor(THREADS), []

    def step(x, dh, grads):
        start = perf_counter()
        h, _, cache = lstm.forward(x)
        forward = perf_counter() - start
        dx, _, _ = lstm.backward(dh, cache, grads=grads)
        return forward, h, dx

    def run():
        forward = 0.0
        with blas_threads(1):
            for _ in range(work.rounds):
                results[:] = executor.map(step, xs, dhs, grads)
                forward += max(seconds for seconds, _, _ in results)
                for more in others:
                    first.flat += more.flat
        return {"forward": forward, "losses": losses}

    def losses():
        _, h, dx = zip(*results)
        return norms(np.concatenate(h, axis=1), np.concatenate(dx, axis=1), first["Wx"], first["Wh"])

    return run


def names(work):
    sampler, model = Sampler(0), model_of(work)
    if work.n == 1:
        model = Stepper(model)
    start = np.zeros((1, work.n), int)

    def run():
        drawn = (generate(model, start, sampler, work.length, stop=0) for _ in range(work.rounds))
        total = sum(len(ids) for names in drawn for ids in names)
        return {"units": total, "losses": [total / (work.rounds * work.n)]}

    return run


def write(work):
    stepper, sampler, start = Stepper(model_of(work)), Sampler(0, temperature=0 if work.greedy else 1), np.array([0])

    def run():
        for _ in range(work.rounds):
            (ids,) = generate(stepper, start, sampler, work.length)
        return {"losses": ids if work.greedy else []}

    return run


TABLE = {"W1": train_single, "W4": layer, "W5 names": names, "W5": write, "W": train}
