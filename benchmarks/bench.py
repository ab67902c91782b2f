"""Speed beside named peers on the same work: `make bench` prints the table of the README.

All contenders of a workload start from the same weights and see the same data. They take turns, A B C A B C ..., so
that a machine that drifts drifts for all; what is compared is the ratio within a turn, its median and range.
"""

import argparse
import platform
import time

import numpy as np
import scipy
import textbook
import torch

from dinos.names import encode, read_names, split, vocabulary_of
from numpyrnn import LSTM, RNN, Dense, Sequential
from numpyrnn.files import data_path
from numpyrnn.sampling import Sampler, generate
from numpyrnn.single import SingleRNN
from numpyrnn.stepper import Stepper

H, V, MANY = 50, 27, 10_000


def take_turns(contenders, turns):
    """Seconds of every contender in every turn, and what each gave in the last one."""
    for contender in contenders.values():  # to warm up
        contender()
    seconds, results = {name: [] for name in contenders}, {}
    for _ in range(turns):
        for name, contender in contenders.items():
            start = time.perf_counter()
            results[name] = contender()
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(times) for name, times in seconds.items()}, results


def row(words, seconds, per, unit):
    """A line of the table: our time, and how many times faster we are than each peer."""
    ours = seconds["ours"] / per
    cells = [f"{np.median(ours) * 1e6:,.1f} us a {unit}"]
    for peer in ("textbook", "textbook, seeding", "PyTorch"):
        ratios = np.sort(seconds[peer] / seconds["ours"]) if peer in seconds else None
        cells.append("" if ratios is None else f"{np.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})")
    print(f"| {words} | {' | '.join(cells)} |", flush=True)


def engine_rnn(parameters):
    """The textbook's parameters in the engine's layers."""
    model = Sequential(RNN(V, H, np.float64, rng=0), Dense(H, V, np.float64, rng=0))
    model.params["0.Wx"], model.params["0.Wh"] = parameters["Wax"].T, parameters["Waa"].T
    model.params["0.b"], model.params["1.W"] = parameters["b"][:, 0], parameters["Wya"].T
    model.params["1.b"] = parameters["by"][:, 0]
    return model


def torch_rnn(parameters):
    """The textbook's parameters in PyTorch's modules, float64."""
    rnn, out = torch.nn.RNN(V, H, dtype=torch.float64), torch.nn.Linear(H, V, dtype=torch.float64)
    with torch.no_grad():
        for target, name in ((rnn.weight_ih_l0, "Wax"), (rnn.weight_hh_l0, "Waa"), (out.weight, "Wya")):
            target.copy_(torch.from_numpy(parameters[name]))
        rnn.bias_ih_l0.copy_(torch.from_numpy(parameters["b"][:, 0]))
        rnn.bias_hh_l0.zero_()
        out.bias.copy_(torch.from_numpy(parameters["by"][:, 0]))
    rnn.bias_hh_l0.requires_grad_(False)  # one bias, as the others have
    return rnn, out


def train(names):
    """W1: the course's training, one name a step, carried state, clip, SGD, float64."""

    lists = [([None, *name[1:-1].tolist()], name[1:].tolist()) for name in names]
    arrays = [(np.append(-1, name[1:-1]), name[1:]) for name in names]
    tensors = [(torch.from_numpy(name[1:-1]), torch.from_numpy(name[1:])) for name in names]

    def by_textbook():
        parameters, a, losses = textbook.rnn_parameters(V, H), np.zeros((H, 1)), []
        for x, y in lists:
            loss, a = textbook.rnn_train_step(x, y, a, parameters)
            losses.append(loss)
        return losses

    def ours():
        single, losses = SingleRNN(engine_rnn(textbook.rnn_parameters(V, H))), []
        for x, y in arrays:
            losses.append(single(x, y, single.h))
            single.update(0.01, 5.0)
        return losses

    def by_torch():
        rnn, out = torch_rnn(textbook.rnn_parameters(V, H))
        weights = [p for module in (rnn, out) for p in module.parameters() if p.requires_grad]
        optimizer, eye = torch.optim.SGD(weights, lr=0.01), torch.eye(V, dtype=torch.float64)
        h, nothing, losses = torch.zeros(1, H, dtype=torch.float64), torch.zeros(1, V, dtype=torch.float64), []
        for ids, targets in tensors:
            y, h = rnn(torch.cat([nothing, eye[ids]]), h.detach())
            loss = torch.nn.functional.cross_entropy(out(y), targets, reduction="sum")
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_value_(weights, 5)
            optimizer.step()
            losses.append(loss.item())
        return losses

    return {"ours": ours, "textbook": by_textbook, "PyTorch": by_torch}


def trained(names):
    """Parameters to sample from: the course's training, by the fast path."""
    model = engine_rnn(textbook.rnn_parameters(V, H))
    single = SingleRNN(model)
    for _ in range(5):
        for name in names:
            single(np.append(-1, name[1:-1]), name[1:], single.h)
            single.update(0.01, 5.0)
    p = {name: array.copy() for name, array in model.params.items()}
    weights = {"Wax": p["0.Wx"].T, "Waa": p["0.Wh"].T, "Wya": p["1.W"].T}
    weights = {name: np.ascontiguousarray(array) for name, array in weights.items()}
    return model, {**weights, "b": p["0.b"][:, None], "by": p["1.b"][:, None]}


def torch_names(model, n, steps=50, end=0):
    """n names at once in PyTorch, float32; like ours it drops the rows that have ended."""
    Wx, Wh, b, W, bias = (torch.from_numpy(model.params[k].copy()) for k in ("0.Wx", "0.Wh", "0.b", "1.W", "1.b"))

    def draw():
        total = 0
        with torch.inference_mode():
            h, ids, steps_left = torch.zeros(n, H, dtype=Wx.dtype), torch.full((n,), end), steps
            while len(ids) and steps_left:
                h = torch.tanh(torch.addmm(Wx[ids] + b, h, Wh))
                p = torch.softmax(torch.addmm(bias, h, W), dim=1)
                ids = torch.multinomial(p, 1)[:, 0]
                total += len(ids)
                going = ids != end
                h, ids, steps_left = h[going], ids[going], steps_left - 1
        return total

    return draw


def torch_lstm(parameters, greedy, steps=50):
    """50 values by torch.nn.LSTM, one-hot in, float32."""
    V, H = parameters["Wy"].shape
    lstm, out = torch.nn.LSTM(V, H), torch.nn.Linear(H, V)
    with torch.no_grad():
        gates = [parameters["W" + gate] for gate in "ifco"]  # PyTorch's order
        lstm.weight_hh_l0.copy_(torch.from_numpy(np.concatenate([W[:, :H] for W in gates])))
        lstm.weight_ih_l0.copy_(torch.from_numpy(np.concatenate([W[:, H:] for W in gates])))
        lstm.bias_ih_l0.zero_()
        lstm.bias_hh_l0.zero_()
        out.weight.copy_(torch.from_numpy(parameters["Wy"]))
        out.bias.zero_()
    eye = torch.eye(V)

    def write():
        state, x, ids = None, torch.zeros(1, V), []
        with torch.inference_mode():
            for _ in range(steps):
                y, state = lstm(x, state)
                logits = out(y[0])
                ids.append(int(logits.argmax() if greedy else torch.multinomial(torch.softmax(logits, 0), 1)))
                x = eye[ids[-1] : ids[-1] + 1]
        return ids

    return write


def engine_lstm(parameters):
    """The textbook's LSTM in the engine's layers, float32; id V stands for its first, empty input."""
    V, H = parameters["Wy"].shape
    model = Sequential(LSTM(V + 1, H, rng=0), Dense(H, V, rng=0))
    model.params.flat[...] = 0
    for k, gate in enumerate("oifc"):
        model.params["0.Wh"][k], model.params["0.Wx"][k, :V] = np.split(parameters["W" + gate].T, [H])
    model.params["1.W"] = parameters["Wy"].T
    return model


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--turns", type=int, default=9)
    turns = arguments.parse_args().turns
    np.random.seed(0)
    torch.manual_seed(0)
    learned, _ = split(read_names(data_path("dinos.txt")), 0)
    names = encode(learned, vocabulary_of(learned))
    print(f"{platform.machine()}, {torch.get_num_threads()} threads; Python {platform.python_version()}, ", end="")
    print(f"numpy {np.__version__}, scipy {scipy.__version__}, torch {torch.__version__}; {turns} turns.\n")
    print("| work | ours | x textbook | x textbook that seeds each draw | x PyTorch |\n|---|---|---|---|---|")

    seconds, losses = take_turns(train(names), turns)
    for peer in losses:  # the same work gives the same losses
        np.testing.assert_allclose(losses[peer], losses["ours"], rtol=1e-6, err_msg=f"W1, {peer}")
    row("W1: RNN 50, one name a step, SGD, float64", seconds, len(names), "name")

    model, parameters = trained(names)
    single, sampler, start = model.copy(np.float32), Sampler(0), np.array([0])
    stepper = Stepper(single)
    n = 100
    torch_one = torch_names(single, 1)
    contenders = {
        "ours": lambda: sum(len(generate(stepper, start, sampler, 50, 0)[0]) for _ in range(n)),
        "textbook": lambda: sum(len(textbook.rnn_sample(parameters)) for _ in range(n)),
        "textbook, seeding": lambda: sum(len(textbook.rnn_sample(parameters, seed=k)) for k in range(n)),
        "PyTorch": lambda: sum(torch_one() for _ in range(n)),
    }
    seconds, characters = take_turns(contenders, turns)
    lengths = {peer: characters[peer] / n for peer in characters}
    row(
        "W5: one name at a time",
        {peer: times * lengths["ours"] / lengths[peer] for peer, times in seconds.items()},
        n,
        "name",
    )
    print_lengths(lengths)

    many = torch_names(single, MANY)
    contenders = {
        "ours": lambda: sum(map(len, generate(single, np.zeros((1, MANY), int), sampler, 50, 0))),
        "textbook": contenders["textbook"],
        "textbook, seeding": contenders["textbook, seeding"],
        "PyTorch": many,
    }
    seconds, _ = take_turns(contenders, turns)
    for peer in ("textbook", "textbook, seeding"):
        seconds[peer] *= MANY / n
    row("W5: 10,000 names at once", seconds, MANY, "name")

    parameters = textbook.lstm_parameters()
    stepper = Stepper(engine_lstm(parameters))
    for words, greedy in (("greedy", True), ("sampled", False)):
        sampler, by_torch = Sampler(0, temperature=0 if greedy else 1), torch_lstm(parameters, greedy)
        contenders = {
            "ours": lambda sampler=sampler: [generate(stepper, np.array([90]), sampler, 50)[0] for _ in range(20)],
            "textbook": lambda greedy=greedy: [textbook.lstm_generate(parameters, 50, greedy) for _ in range(20)],
            "PyTorch": lambda write=by_torch: [write() for _ in range(20)],
        }
        seconds, values = take_turns(contenders, turns)
        if greedy:  # the same work gives the same values
            assert all(list(values[peer][0]) == list(values["ours"][0]) for peer in values)
        row(f"W5: LSTM 64, 50 of 90 values, {words}", seconds, 20, "run")


def print_lengths(lengths):
    """Names differ in length from contender to contender: times are taken per character."""
    assert max(lengths.values()) < 1.25 * min(lengths.values()), lengths


if __name__ == "__main__":
    main()
