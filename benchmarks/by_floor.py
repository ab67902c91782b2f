"""The floor of W4: only the matrix products that an LSTM layer needs, forward and backward, in NumPy."""

from time import perf_counter

import numpy as np


def products(work):
    p, (x, dh, _) = work.weights[0], work.batches[0]
    T, N, D = x.shape
    Wx, Wh = (np.concatenate(p[name], axis=1) for name in ("Wx", "Wh"))  # (D, 4H), (H, 4H)
    WxT, WhT = np.ascontiguousarray(Wx.T), np.ascontiguousarray(Wh.T)
    rows, h = x.reshape(T * N, D), dh.copy()
    dz = np.concatenate([rows] * 4, axis=1)  # (T N, 4H), any numbers, as D is H here
    dz_steps = dz.reshape(T, N, -1)
    z, hWh, dzWh = np.zeros_like(dz), np.zeros_like(dz_steps[0]), np.zeros_like(h[0])
    dx, dWx, dWh = np.zeros_like(rows), np.zeros_like(Wx), np.zeros_like(Wh)

    def run():
        forward = 0.0
        for _ in range(work.rounds):
            start = perf_counter()
            np.matmul(rows, Wx, out=z)
            for h_t in h:
                np.matmul(h_t, Wh, out=hWh)
            forward += perf_counter() - start
            for dz_t in dz_steps:
                np.matmul(dz_t, WhT, out=dzWh)
            np.matmul(rows.T, dz, out=dWx)
            np.matmul(h.reshape(T * N, -1).T, dz, out=dWh)
            np.matmul(dz, WxT, out=dx)
        return {"forward": forward}

    return run


TABLE = {"W4": products}
