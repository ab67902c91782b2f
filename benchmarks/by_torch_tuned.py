"""W5 and W7 in PyTorch, tuned by hand for speed."""

import torch
from by_torch import generation, train_with


def draw(logits):
    """Sample by the largest of p / exponential noise: for one row half the time of `torch.multinomial`."""
    p = torch.softmax(logits, dim=1)
    return (p / torch.empty_like(p).exponential_()).argmax(dim=1)


def tensors(p):
    """A recurrent layer's Wx (D, gates H), Wh (H, gates H) and b (gates H,); a dense layer's W and b."""
    if "W" in p:
        return torch.from_numpy(p["W"]), torch.from_numpy(p["b"])
    Wx, Wh = (torch.cat(list(torch.from_numpy(p[name])), dim=1) for name in ("Wx", "Wh"))
    return Wx, Wh, torch.from_numpy(p["b"]).flatten()


def names(work):
    """Looks up table rows instead of multiplying one-hot rows; the end of a single name is a comparison of numbers."""
    (Wx, Wh, b), (W, bias) = map(tensors, work.weights)
    table = Wx + b

    def drawn():
        h, ids, total = torch.zeros(work.n, len(Wh)), torch.zeros(work.n, dtype=torch.long), 0
        for _ in range(work.length):
            h = torch.tanh(torch.addmm(table[ids], h, Wh))
            ids = draw(torch.addmm(bias, h, W))
            total += len(ids)
            if work.n == 1:
                if ids.item() == 0:
                    break
            else:
                going = ids != 0
                h, ids = h[going], ids[going]
        return total

    return generation(work, drawn)


def write(work):
    """Looks up the first layer's input in a table; in the layers above, [x, h] is one product."""
    (Wx, Wh, b), *above, (W, bias) = map(tensors, work.weights)
    table, above = Wx + b, [(torch.cat([Wx, Wh]), b) for Wx, Wh, b in above]

    def cell(z, c):
        i, f, g, o = z.chunk(4, dim=1)
        c = torch.addcmul(torch.sigmoid(f) * c, torch.sigmoid(i), torch.tanh(g))
        return torch.sigmoid(o) * torch.tanh(c), c

    def written():
        states = [(torch.zeros(1, len(Wh)), torch.zeros(1, len(Wh))) for _ in range(1 + len(above))]
        i, written = 0, []
        for _ in range(work.length):
            h, c = states[0]
            states[0] = h, _ = cell(torch.addmm(table[i : i + 1], h, Wh), c)
            for k, (both, b) in enumerate(above, 1):
                h_prev, c = states[k]
                states[k] = h, _ = cell(torch.addmm(b, torch.cat([h, h_prev], dim=1), both), c)
            logits = torch.addmm(bias, h, W)
            i = (logits.argmax(dim=1) if work.greedy else draw(logits)).item()
            written.append(i)
        return written

    return generation(work, written)


def masked(net, x, targets, lengths):
    """Padding is computed too, instead of packing; it follows the real steps, and only these count in the loss."""
    real = torch.arange(len(x))[:, None] < lengths
    return net.out(net.rnn(net.eye[x])[0][real]), targets[real]


TABLE = {"W5 names": names, "W5": write, "W7": train_with(masked)}
