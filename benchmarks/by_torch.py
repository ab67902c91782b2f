"""The works in eager PyTorch, as its users would write them: with its modules, the faster where there is a choice."""

import os
from time import perf_counter

import torch
from torch.nn import functional as F  # noqa: N812 (PyTorch's usual name for it)
from torch.nn.utils.rnn import pack_padded_sequence
from works import ADAM_RATE, CLIP, EPSILON, SGD_RATE

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def side_by_side(p):
    """A recurrent layer's `weight_ih`, `weight_hh` and `bias_ih`."""
    Wx, Wh = (p[name].swapaxes(1, 2).reshape(-1, p[name].shape[1]) for name in ("Wx", "Wh"))
    return [torch.from_numpy(array.copy()) for array in (Wx, Wh, p["b"].ravel())]


class Net(torch.nn.Module):
    """Recurrent layers and perhaps a dense one; `reset` puts the initial weights back."""

    def __init__(self, weights):
        super().__init__()
        *cells, dense = weights if "W" in weights[-1] else [*weights, None]
        gates, D, H = cells[0]["Wx"].shape
        kind, dtype = (torch.nn.LSTM if gates == 4 else torch.nn.RNN), torch.from_numpy(cells[0]["b"]).dtype
        self.rnn, self.eye = kind(D, H, num_layers=len(cells), dtype=dtype), torch.eye(D, dtype=dtype)
        self.initial = {}
        for k, p in enumerate(cells):
            names = [getattr(self.rnn, f"{name}_l{k}") for name in ("weight_ih", "weight_hh", "bias_ih")]
            self.initial |= dict(zip(names, side_by_side(p), strict=True))
            getattr(self.rnn, f"bias_hh_l{k}").requires_grad_(False).zero_()  # one bias, as in the other libraries
        if dense:
            self.out = torch.nn.Linear(*dense["W"].shape, dtype=dtype)
            self.initial[self.out.weight] = torch.from_numpy(dense["W"].T.copy())
            self.initial[self.out.bias] = torch.from_numpy(dense["b"])
        self.reset()

    def reset(self):
        with torch.no_grad():
            for parameter, value in self.initial.items():
                parameter.copy_(value)
        return list(self.initial)


def tensors(batches):
    return [[None if array is None else torch.from_numpy(array) for array in batch] for batch in batches]


def train_single(work):
    net, batches = Net(work.weights), tensors(work.batches)
    eye = torch.cat([net.eye, torch.zeros_like(net.eye[:1])])  # row -1 is zero

    def run():
        parameters, h, losses = net.reset(), None, []
        optimizer = torch.optim.SGD(parameters, lr=SGD_RATE)
        for x, targets, _ in batches:
            y, h = net.rnn(eye[x], h)
            h = h.detach()
            loss = F.cross_entropy(net.out(y), targets, reduction="sum")
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_value_(parameters, CLIP)
            optimizer.step()
            losses.append(loss.item())
        return {"losses": losses}

    return run


def train_with(logits_and_targets):
    """Training with Adam; `logits_and_targets` returns both for a batch, one row per target that counts."""

    def train(work):
        net, batches = Net(work.weights), tensors(work.batches)

        def run():
            optimizer, losses = torch.optim.Adam(net.reset(), lr=ADAM_RATE, eps=EPSILON, fused=True), []
            for batch in batches * work.rounds:
                loss = F.cross_entropy(*logits_and_targets(net, *batch))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
            return {"losses": losses}

        return run

    return train


def whole(net, x, targets, _):
    return net.out(net.rnn(net.eye[x])[0]).flatten(0, 1), targets.flatten()


def packed(net, x, targets, lengths):
    h, _ = net.rnn(pack_padded_sequence(net.eye[x], lengths, enforce_sorted=False))
    return net.out(h.data), pack_padded_sequence(targets, lengths, enforce_sorted=False).data


def layer(work):
    net, ((x, dh, _),) = Net(work.weights), tensors(work.batches)
    x.requires_grad_()

    def run():
        forward = 0.0
        for _ in range(work.rounds):
            x.grad = None
            net.zero_grad()
            start = perf_counter()
            h, _ = net.rnn(x)
            forward += perf_counter() - start
            h.backward(dh)
        rnn = net.rnn
        arrays = h.detach(), x.grad, rnn.weight_ih_l0.grad, rnn.weight_hh_l0.grad
        return {"forward": forward, "losses": lambda: [array.double().norm().item() for array in arrays]}

    return run


class Stepped(torch.nn.Module):
    """Recurrent cells and a dense layer; a step of `LSTMCell` takes a third of the time of `torch.nn.LSTM`."""

    def __init__(self, weights):
        super().__init__()
        *cells, dense = weights
        kind = torch.nn.LSTMCell if len(cells[0]["Wx"]) == 4 else torch.nn.RNNCell
        self.cells = torch.nn.ModuleList(kind(*p["Wx"].shape[1:]) for p in cells)
        self.out, self.eye = torch.nn.Linear(*dense["W"].shape), torch.eye(len(dense["b"]))
        with torch.no_grad():
            for cell, p in zip(self.cells, cells, strict=True):
                cell.bias_hh.zero_()
                for parameter, value in zip((cell.weight_ih, cell.weight_hh, cell.bias_ih), side_by_side(p)):
                    parameter.copy_(value)
            self.out.weight.copy_(torch.from_numpy(dense["W"].T.copy()))
            self.out.bias.copy_(torch.from_numpy(dense["b"]))

    def forward(self, ids, states):
        h, after = self.eye[ids], []
        for cell, state in zip(self.cells, states):
            after.append(cell(h, state))
            h = after[-1][0] if isinstance(after[-1], tuple) else after[-1]
        return self.out(h), after


def draw(logits):
    return torch.multinomial(torch.softmax(logits, dim=1), 1)[:, 0]


def names(work):
    net = Stepped(work.weights)

    def drawn():
        """The number of characters of `n` names; like numpyrnn, it drops the rows of names that have ended."""
        h, ids, total = None, torch.zeros(work.n, dtype=torch.long), 0
        for _ in range(work.length):
            logits, (h,) = net(ids, [h])
            ids = draw(logits)
            total += len(ids)
            going = ids != 0
            if not going.any():
                break
            if work.n > 1:
                h, ids = h[going], ids[going]
        return total

    return generation(work, drawn)


def write(work):
    net = Stepped(work.weights)

    def written():
        states, ids, written = [None] * len(net.cells), torch.zeros(1, dtype=torch.long), []
        for _ in range(work.length):
            logits, states = net(ids, states)
            ids = logits.argmax(dim=1) if work.greedy else draw(logits)
            written.append(ids.item())
        return written

    return generation(work, written)


def generation(work, once):
    """A run that calls `once`, which returns the ids of a text, or the number of characters of names."""

    def run():
        with torch.inference_mode():
            results = [once() for _ in range(work.rounds)]
        if work.ends:
            return {"units": sum(results), "losses": [sum(results) / (work.rounds * work.n)]}
        return {"losses": results[-1] if work.greedy else []}

    return run


def about():
    return f"vector code for {torch.backends.cpu.get_cpu_capability()}, MKL {torch.backends.mkl.is_available()}"


TABLE = {
    "W1": train_single,
    "W4": layer,
    "W5 names": names,
    "W5": write,
    "W7": train_with(packed),
    "W": train_with(whole),
}
