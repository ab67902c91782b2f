"""Compare the speed of deeper models (forward, softmax cross-entropy, backward) with PyTorch and, if installed, JAX.

The contenders start from the same weights and data, and their losses and gradients are checked to agree. They take
turns as in `bench.py`. PyTorch runs eagerly, with convolutions over (N, C, T); JAX compiles the whole step, with
(N, T, C). Each number of threads has its own process, limited to as many cores.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from functools import partial
from itertools import chain
from timeit import timeit

import numpy as np
import torch
from arena import cores, environment
from bench import take_turns
from torch.nn import functional as F  # noqa: N812 (PyTorch's usual name for it)

from numpyrnn import LSTM, Sequential
from numpyrnn.convolution import CausalConv1D, GatedBlock, GatedStack
from numpyrnn.layers import Dense, Dropout, Embedding, GlobalMaxPool1D, LastStep, MaxPool1D, ReLU
from numpyrnn.losses import softmax_cross_entropy
from numpyrnn.parameters import Parameters

try:
    import jax
    from by_jax import lstm as jax_lstm_layer
    from jax import numpy as jnp
except ImportError:
    jax = None

N, DILATIONS = 128, (1, 2, 4, 8, 16)
IFGO = [1, 2, 3, 0]  # from numpyrnn's order of gates, o i f g, to that of the others
LONG_ENOUGH, REST = 0.06, 0.05  # seconds of a contender's part of a turn, and of the pause until its threads sleep


def lstm_model(V):
    head = (LastStep(), Dense(128, 256, rng=2), ReLU(), Dense(256, V, rng=3))
    return Sequential(LSTM(V, 128, rng=0), LSTM(128, 128, rng=1), *head)


def simple_wavenet(V):
    layers, size = [Embedding(V, 100, rng=0)], 100
    for out, dilation in ((64, 1), (128, 2), (256, 4)):
        layers += [CausalConv1D(size, out, 3, dilation, rng=dilation), ReLU(), Dropout(0.2), MaxPool1D(2)]
        size = out
    return Sequential(*layers, GlobalMaxPool1D(), Dense(256, 256, rng=5), ReLU(), Dense(256, V, rng=6))


def gated_wavenet(V):
    body = CausalConv1D(64, 64, 2, rng=1), GatedStack(64, 64, 2, DILATIONS, rng=2)
    return Sequential(Embedding(V, 64, rng=0), *body, ReLU(), Dense(64, 64, rng=3), ReLU(), Dense(64, V, rng=4))


def by_us(model, _, x, targets):
    """Make two functions, as do the other makers: one runs a step and returns its loss, one returns the gradient."""
    grads = model.params.zeros_like()

    def step():
        logits, _, cache = model.forward(x)
        loss, dlogits = softmax_cross_entropy(logits, targets)
        model.backward(dlogits, cache, grads=grads)
        return loss

    return step, lambda: grads.flat


def places(model, layout):
    """For each layer with parameters, the indices into our flat buffer of each array that the peer uses."""
    whole, found = Parameters(model.params.shapes, flat=np.arange(model.params.flat.size)), []
    for path in dict.fromkeys(name.rpartition(".")[0] for name in whole):
        layer = model
        for number in path.split("."):
            layer = layer.layers[int(number)]
        found.append(layout(layer, {name: whole[f"{path}.{name}"] for name in layer.params}))
    return found


def flatten(model, where, arrays):
    """A peer's gradients in the order of our flat buffer."""
    flat = np.full_like(model.params.flat, np.nan)
    for place, array in zip(chain(*where), chain(*arrays), strict=True):
        flat[place] = array
    return flat


def torch_layout(layer, p):
    """PyTorch's arrays of a layer. A gated block has two convolutions: filter with gate, and residual with skip."""
    if isinstance(layer, LSTM):
        Wx, Wh = (p[name][IFGO].swapaxes(1, 2).reshape(4 * layer.hidden_size, -1) for name in ("Wx", "Wh"))
        return Wx, Wh, p["b"][IFGO].ravel()
    if isinstance(layer, CausalConv1D | GatedBlock):
        conv = p["W"].transpose(1, 3, 2, 0).reshape(-1, layer.input_size, layer.kernel_size), p["b"].ravel()
        return (*conv, p["Wo"].T[..., None], p["bo"]) if isinstance(layer, GatedBlock) else conv
    return (p["W"].T, p["b"]) if isinstance(layer, Dense) else (p["W"],)


def torch_dense(h, first, *rest):
    h = F.linear(h, *first)
    return torch_dense(F.relu(h), *rest) if rest else h


def torch_causal(x, W, b, dilation):
    return F.conv1d(F.pad(x, ((W.shape[2] - 1) * dilation, 0)), W, b, dilation=dilation)


def torch_lstm(weights):
    first, second, *dense = weights
    V, H = first[0].shape[1], first[1].shape[1]
    lstm, eye = torch.nn.LSTM(V, H, num_layers=2), torch.eye(V)
    for layer, arrays in enumerate((first, second)):
        for name, array in zip(("weight_ih", "weight_hh", "bias_ih"), arrays, strict=True):
            setattr(lstm, f"{name}_l{layer}", array)
        getattr(lstm, f"bias_hh_l{layer}").requires_grad_(False).zero_()  # one bias, as in the other libraries

    def logits(ids):
        h, _ = lstm(eye[ids])
        return torch_dense(h[-1], *dense)

    return logits


def torch_simple(weights):
    (embedding,), *convs, dense, out = weights

    def logits(ids):
        h = F.embedding(ids.T, embedding).transpose(1, 2)
        for (W, b), dilation in zip(convs, (1, 2, 4), strict=True):
            h = F.max_pool1d(F.relu(torch_causal(h, W, b, dilation)), 2)
        return torch_dense(h.amax(2), dense, out)

    return logits


def torch_gated(weights):
    (embedding,), conv, *blocks, (W1, b1), (W2, b2) = weights

    def logits(ids):
        h, skips = torch_causal(F.embedding(ids.T, embedding).transpose(1, 2), *conv, 1), 0
        for (W, b, Wo, bo), dilation in zip(blocks, DILATIONS, strict=True):
            filtered, gate = torch_causal(h, W, b, dilation).chunk(2, 1)
            residual, skip = F.conv1d(torch.tanh(filtered) * torch.sigmoid(gate), Wo, bo).split(h.shape[1], 1)
            h, skips = h + residual, skips + skip
        h = F.relu(F.conv1d(F.relu(skips), W1[..., None], b1))
        return F.conv1d(h, W2[..., None], b2).permute(2, 0, 1)

    return logits


def by_torch(model, build, x, targets):
    flat, where = torch.from_numpy(model.params.flat), places(model, torch_layout)
    weights = [[torch.nn.Parameter(flat[torch.from_numpy(place)]) for place in layer] for layer in where]
    logits, x, targets = build(weights), torch.from_numpy(x), torch.from_numpy(targets.ravel())

    def step():
        for weight in chain(*weights):
            weight.grad = None
        loss = F.cross_entropy(logits(x).flatten(0, -2), targets)
        loss.backward()
        return loss.item()

    return step, lambda: flatten(model, where, [[weight.grad for weight in layer] for layer in weights])


def jax_layout(layer, p):
    """JAX's arrays of a layer, with gates side by side."""
    if isinstance(layer, LSTM):
        return *(np.concatenate(p[name][IFGO], axis=1) for name in ("Wx", "Wh")), p["b"][IFGO].ravel()
    if isinstance(layer, CausalConv1D | GatedBlock):
        conv = np.concatenate(p["W"].swapaxes(0, 1), axis=2), p["b"].ravel()
        return (*conv, p["Wo"], p["bo"]) if isinstance(layer, GatedBlock) else conv
    return tuple(p.values())


def jax_dense(h, first, *rest):
    h = h @ first[0] + first[1]
    return jax_dense(jax.nn.relu(h), *rest) if rest else h


def jax_causal(x, W, b, dilation):
    padding = [((len(W) - 1) * dilation, 0)]
    return jax.lax.conv_general_dilated(x, W, (1,), padding, None, (dilation,), ("NWC", "WIO", "NWC")) + b


def jax_lstm(weights, ids):
    first, second, *dense = weights
    h = jax_lstm_layer(jax_lstm_layer(ids, *first), *second)
    return jax_dense(h[-1], *dense)


def jax_simple(weights, ids):
    (embedding,), *convs, dense, out = weights
    h = embedding[ids.T]
    for (W, b), dilation in zip(convs, (1, 2, 4), strict=True):
        h = jax.nn.relu(jax_causal(h, W, b, dilation))
        h = h.reshape(len(h), -1, 2, h.shape[2]).max(2)
    return jax_dense(h.max(1), dense, out)


def jax_gated(weights, ids):
    (embedding,), conv, *blocks, dense, out = weights
    h, skips = jax_causal(embedding[ids.T], *conv, 1), 0
    for (W, b, Wo, bo), dilation in zip(blocks, DILATIONS, strict=True):
        filtered, gate = jnp.split(jax_causal(h, W, b, dilation), 2, axis=2)
        residual, skip = jnp.split(jnp.tanh(filtered) * jax.nn.sigmoid(gate) @ Wo + bo, [h.shape[2]], axis=2)
        h, skips = h + residual, skips + skip
    return jax_dense(jax.nn.relu(skips), dense, out).swapaxes(0, 1)


def by_jax(model, logits, x, targets):
    where, grads = places(model, jax_layout), []
    weights = [[jnp.asarray(model.params.flat[place]) for place in layer] for layer in where]

    @jax.jit
    @jax.value_and_grad
    def loss_and_grads(weights, x, targets):
        log_p = jax.nn.log_softmax(logits(weights, x))
        return -jnp.take_along_axis(log_p.reshape(targets.size, -1), targets.reshape(-1, 1), axis=1).mean()

    def step():
        loss, grads[:] = jax.block_until_ready(loss_and_grads(weights, x, targets))
        return loss.item()

    return step, lambda: flatten(model, where, grads)


def row(threads, turns, words, make_model, to_torch, to_jax, T, V):
    """Check that all contenders agree, and print a row of the table: our time and our speed relative to each peer."""
    rng = np.random.default_rng(0)
    model, x = make_model(V), rng.integers(V, size=(T, N))
    targets = rng.integers(V, size=model.forward(x)[0].shape[:2])
    makers = {"ours": (by_us, None), "PyTorch": (by_torch, to_torch)} | ({"JAX": (by_jax, to_jax)} if jax else {})
    contenders, times, results = {}, {}, {}
    for peer, (make, build) in makers.items():
        step, grad = make(model, build, x, targets)
        results[peer] = loss, gradient = step(), grad()
        np.testing.assert_allclose(loss, results["ours"][0], rtol=1e-4, err_msg=f"{words}, {peer}")
        error = np.linalg.norm(gradient - results["ours"][1]) / np.linalg.norm(gradient)
        assert error < 1e-3, f"{words}, {peer}: the gradient is off by {error}"
        times[peer] = 1 + int(LONG_ENOUGH / timeit(step, number=1))
        contenders[peer] = partial(timeit, step, number=times[peer])
        contenders[f"rest after {peer}"] = partial(time.sleep, REST)
    seconds, _ = take_turns(contenders, turns)
    each = {peer: seconds[peer] / times[peer] for peer in makers}
    cells = [f"{words}, T {T}, V {V}", str(threads), f"{np.median(each['ours']) * 1e3:.1f} ms"]
    for peer in list(makers)[1:]:
        cells.append("{:.2f} ({:.2f} to {:.2f})".format(*np.quantile(each[peer] / each["ours"], [0.5, 0, 1])))
    print(f"| {' | '.join(cells if jax else [*cells, 'not installed'])} |", flush=True)


WORKS = (
    ("piano: two LSTM 128", lstm_model, torch_lstm, jax_lstm, 32, 55),
    ("piano: simple WaveNet", simple_wavenet, torch_simple, jax_simple, 32, 55),
    ("gated WaveNet", gated_wavenet, torch_gated, jax_gated, 32, 55),
)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--turns", type=int, default=9, help="number of turns, default 9")
    arguments.add_argument("--threads", type=int, help=argparse.SUPPRESS)  # used for the measuring processes
    options = arguments.parse_args()
    if options.threads:
        for work in WORKS:
            row(options.threads, options.turns, *work)
        return
    versions = f"numpy {np.__version__}, torch {torch.__version__}, {f'jax {jax.__version__}' if jax else 'no jax'}"
    print(f"{platform.machine()}, {versions}; N {N}, float32, {options.turns} turns.\n")
    print("| work | threads | ours, a step | x PyTorch | x JAX |\n|---|---|---|---|---|", flush=True)
    available = cores()
    for n in (1, 2):
        if available:
            os.sched_setaffinity(0, available[-n:])
        command = [sys.executable, __file__, "--turns", str(options.turns), "--threads", str(n)]
        subprocess.run(command, check=True, env=environment(n, {}))


if __name__ == "__main__":
    main()
