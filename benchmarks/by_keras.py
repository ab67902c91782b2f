"""W2 and W3 in Keras on JAX: a compiled model, trained batch by batch."""

import jax
import keras
import numpy as np
from works import ADAM_RATE, EPSILON


def train(work):
    jax.config.update("jax_enable_x64", work.dtype == np.float64)
    keras.config.set_floatx(work.dtype.name)
    V, ((x, targets, _),) = len(work.weights[-1]["b"]), work.batches
    x, targets = (np.ascontiguousarray(ids.T, np.int32) for ids in (x, targets))  # (N, T)
    sizes = [p["Wh"].shape[1] for p in work.weights[:-1]]
    one_hot = keras.layers.Lambda(lambda ids: keras.ops.one_hot(ids, V))
    cells = [keras.layers.LSTM(H, return_sequences=True, unit_forget_bias=False) for H in sizes]
    model = keras.Sequential([keras.Input(x.shape[1:], dtype="int32"), one_hot, *cells, keras.layers.Dense(V)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(ADAM_RATE, epsilon=EPSILON), loss)
    initial = []
    for p in work.weights[:-1]:
        initial += [np.concatenate(p[name], axis=1) for name in ("Wx", "Wh")] + [p["b"].ravel()]
    initial += work.weights[-1].values()
    model.optimizer.build(model.trainable_variables)

    def run():
        model.set_weights(initial)
        for variable in model.optimizer.variables[2:]:  # the moments; before them are the iterations and the rate
            variable.assign(np.zeros(variable.shape))
        model.optimizer.iterations.assign(0)
        losses = []
        for _ in range(work.rounds):
            model.reset_metrics()
            losses.append(float(model.train_on_batch(x, targets)))
        return {"losses": losses}

    return run


TABLE = {"W2": train, "W3": train}
