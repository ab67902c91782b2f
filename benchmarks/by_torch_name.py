"""W6: a PyTorch script that prints one name from the shipped model, like `dinos sample -n 1`."""

import json
from pathlib import Path

import numpy as np
import torch

SIZES = {"table": (27, 64), "Wx": (4, 64, 128), "Wh": (4, 128, 128), "b": (4, 128), "W": (128, 27), "bias": (27,)}
IFGO = [1, 2, 3, 0]  # from numpyrnn's order of gates, o i f g, to PyTorch's

with np.load(Path(__file__).parents[1] / "data" / "models" / "dinos.npz") as file:
    flat, letters = torch.from_numpy(file["params"]), json.loads(file["about"].tobytes())["vocabulary"]
parts = flat.split([int(np.prod(shape)) for shape in SIZES.values()])
table, Wx, Wh, b, W, bias = (part.view(shape) for part, shape in zip(parts, SIZES.values(), strict=True))

cell = torch.nn.LSTMCell(64, 128)
with torch.inference_mode():
    cell.weight_ih.copy_(Wx[IFGO].transpose(1, 2).reshape(512, 64))
    cell.weight_hh.copy_(Wh[IFGO].transpose(1, 2).reshape(512, 128))
    cell.bias_ih.copy_(b[IFGO].flatten())
    cell.bias_hh.zero_()
    state, i, name = None, 0, ""
    while True:
        state = cell(table[i : i + 1], state)
        i = torch.multinomial(torch.softmax(state[0] @ W + bias, 1), 1).item()
        if letters[i] == "\n":
            break
        name += letters[i]
print(name.capitalize())
