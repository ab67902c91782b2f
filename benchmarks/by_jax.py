"""The works in JAX: a `scan` over the steps, and each training step or generation compiled as a whole."""

from functools import partial

import jax
import numpy as np
from jax import numpy as jnp
from works import ADAM_RATE, CLIP, EPSILON, SGD_RATE


def side_by_side(weights):
    """The weights as JAX arrays, gates side by side. Call it first: it sets whether JAX computes in float64."""
    jax.config.update("jax_enable_x64", weights[0]["Wx"].dtype == np.float64)
    layers = [(*(np.concatenate(p[k], axis=1) for k in ("Wx", "Wh")), p["b"].ravel()) for p in weights[:-1]]
    return jax.tree.map(jnp.asarray, [*layers, (weights[-1]["W"], weights[-1]["b"])])


def lstm_cell(state, z, Wh):
    h, c = state
    i, f, g, o = jnp.split(z + h @ Wh, 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def lstm(x, Wx, Wh, b):
    def step(state, z):
        state = lstm_cell(state, z, Wh)
        return state, state[0]

    zeros = jnp.zeros((x.shape[1], len(Wh)), Wh.dtype)
    return jax.lax.scan(step, (zeros, zeros), (Wx[x] if x.ndim == 2 else x @ Wx) + b)[1]


def losses_of(logits, targets):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], axis=-1)[..., 0]


def mean_loss(weights, x, targets, real):
    *cells, (W, b) = weights
    h = x
    for cell in cells:
        h = lstm(h, *cell)
    return (losses_of(h @ W + b, targets) * real).sum() / real.sum()


@jax.jit
def adam_step(weights, m, v, t, x, targets, real):
    loss, grads = jax.value_and_grad(mean_loss)(weights, x, targets, real)
    m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
    v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
    rate = ADAM_RATE * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    weights = jax.tree.map(lambda w, m, v: w - (rate * m / (jnp.sqrt(v) + EPSILON)).astype(w.dtype), weights, m, v)
    return weights, m, v, t + 1, loss


def train(work):
    initial, dtype = side_by_side(work.weights), work.dtype
    zeros, longest = jax.tree.map(jnp.zeros_like, initial), max(len(x) for x, _, _ in work.batches)
    batches = [[np.pad(a, ((0, longest - len(a)), (0, 0))) for a in batch[:2]] for batch in work.batches]  # one shape
    masks = [np.arange(longest)[:, None] < (longest if n is None else n) for _, _, n in work.batches]
    masks = [np.broadcast_to(mask, x.shape).astype(dtype) for mask, (x, _) in zip(masks, batches)]

    def run():
        state, losses = (initial, zeros, zeros, np.ones((), dtype)), []
        for (x, targets), real in list(zip(batches, masks)) * work.rounds:
            *state, loss = adam_step(*state, x, targets, real)
            losses.append(loss.item())
        return {"losses": losses}

    return run


def name_loss(weights, h, x, targets, T):
    """Loss and last state of a name of T letters, padded to the longest name; padding leaves the state unchanged."""
    (Wx, Wh, b), (W, bias) = weights

    def step(h, now):
        z, real = now
        h = jnp.where(real, jnp.tanh(z + h @ Wh), h)
        return h, h

    real = jnp.arange(len(x)) < T
    last, hs = jax.lax.scan(step, h, (jnp.where(x[:, None] < 0, 0, Wx[x]) + b, real))
    return (losses_of(hs @ W + bias, targets) * real).sum(), last


@jax.jit
def sgd_step(weights, h, x, targets, T):
    (loss, h), grads = jax.value_and_grad(name_loss, has_aux=True)(weights, h, x, targets, T)
    return jax.tree.map(lambda w, g: w - SGD_RATE * jnp.clip(g, -CLIP, CLIP), weights, grads), h, loss


def train_single(work):
    initial, longest = side_by_side(work.weights), max(len(x) for x, _, _ in work.batches)
    batches = [(*(np.pad(a, (0, longest - len(x))) for a in (x, y)), len(x)) for x, y, _ in work.batches]

    def run():
        weights, h, losses = initial, np.zeros(initial[0][1].shape[0]), []
        for batch in batches:
            weights, h, loss = sgd_step(weights, h, *batch)
            losses.append(loss.item())
        return {"losses": losses}

    return run


def names(work):
    (Wx, Wh, b), (W, bias) = side_by_side(work.weights)

    @jax.jit
    def drawn(key):
        """The number of characters drawn until all names have ended."""

        def step(now):
            t, h, ids, going, key, total = now
            key, fresh = jax.random.split(key)
            h = jnp.tanh(Wx[ids] + b + h @ Wh)
            ids = jax.random.categorical(fresh, h @ W + bias)
            return t + 1, h, ids, going & (ids != 0), key, total + going.sum()

        start = 0, jnp.zeros((work.n, len(Wh))), jnp.zeros(work.n, int), jnp.ones(work.n, bool), key, 0
        return jax.lax.while_loop(lambda now: (now[0] < work.length) & now[3].any(), step, start)[-1]

    keys = iter(range(1_000_000_000))

    def run():
        total = sum(drawn(jax.random.key(next(keys))).item() for _ in range(work.rounds))
        return {"units": total, "losses": [total / (work.rounds * work.n)]}

    return run


def write(work):
    *cells, (W, bias) = side_by_side(work.weights)

    @partial(jax.jit, static_argnames="greedy")
    def written(key, greedy):
        def step(now, fresh):
            i, states = now
            h, after = None, []
            for state, (Wx, Wh, b) in zip(states, cells):
                after.append(lstm_cell(state, (Wx[i] if h is None else h @ Wx) + b, Wh))
                h = after[-1][0]
            logits = h @ W + bias
            i = logits.argmax() if greedy else jax.random.categorical(fresh, logits)
            return (i, after), i

        zeros = [(jnp.zeros(len(Wh)), jnp.zeros(len(Wh))) for _, Wh, _ in cells]
        return jax.lax.scan(step, (jnp.argmax(bias * 0), zeros), jax.random.split(key, work.length))[1]

    keys = iter(range(1_000_000_000))

    def run():
        for _ in range(work.rounds):
            ids = np.asarray(written(jax.random.key(next(keys)), work.greedy))
        return {"losses": ids if work.greedy else []}

    return run


TABLE = {"W1": train_single, "W5 names": names, "W5": write, "W": train}
