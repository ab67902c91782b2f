"""The networks for piano music: their layers, what they learn of pieces, what they never see, and that they repeat."""

from collections import Counter
from dataclasses import asdict, replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from numpyrnn import LSTM, Dense, Dropout, Embedding, NumpyrnnError
from numpyrnn.checkpoint import load, save
from numpyrnn.convolution import CausalConv1D, GatedStack
from numpyrnn.layers import GlobalMaxPool1D, LastStep, MaxPool1D, ReLU
from numpyrnn.stepper import Stepper
from numpyrnn.train import mean_loss
from piano.batches import accuracy
from piano.corpus import Piece, read_pieces, split_by_piece
from piano.model import KEYS, KIND, MODELS, Material, Settings, build, material_of
from piano.rhythm import Rhythms
from piano.tokens import WAIT, count_names, keep_common, name_of, transpose
from piano.training import PianoTraining
from workbench.files import data_path

TINY = {
    name: replace(settings, embedding=4, hidden=5, dense=6, window=8, min_count=3, rhythm_count=3)
    for name, settings in MODELS.items()
}
NO_NOISE = {"dropout": 0.0, "input_dropout": 0.0, "step_dropout": 0.0, "weight_dropout": 0.0, "average": 0.0}
NAMES = ["C4", "D4", "E-4", "F4", "G4", "0.4.7", "2.5.9", "7.11.2"]
RHYTHMS = ["|1/4|1/4", "|1/2|1/4", "|1|1/2"]
MODEL = pytest.mark.parametrize("model", list(MODELS))


def made_up(n=5, length=40, seed=0, rhythm=False):
    """Pieces of random tokens."""
    rng = np.random.default_rng(seed)

    def token():
        return NAMES[rng.integers(len(NAMES))] + (RHYTHMS[rng.integers(len(RHYTHMS))] if rhythm else "")

    return [Piece(f"piece {i}", None, [token() for _ in range(length)]) for i in range(n)]


PIECES = made_up()


@pytest.fixture(scope="module")
def shipped():
    return read_pieces([data_path("piano")])


@pytest.fixture(scope="module")
def shipped_with_rhythm():
    return read_pieces([data_path("piano")], rhythm=True)


def trained(settings, epochs, pieces=PIECES):
    training = PianoTraining.of_pieces(pieces, settings)
    training.run(epochs)
    return training


def without_times(history):
    return [{name: record[name] for name in ("epoch", "step", "loss", "valid_loss")} for record in history]


def labels(batches):
    """How often each id is to be predicted, at the places that count."""
    found = Counter()
    for batch in batches:
        found.update(
            batch.targets[np.ones_like(batch.targets, bool) if batch.counts is None else batch.counts].tolist()
        )
    return found


# building


@pytest.mark.parametrize(
    ("model", "kinds"),
    [
        ("lstm", [Embedding, LSTM, LSTM, LastStep, Dense, ReLU, Dense]),
        (
            "wavenet-simple",
            [Embedding, *[CausalConv1D, ReLU, Dropout, MaxPool1D] * 3, GlobalMaxPool1D, Dense, ReLU, Dense],
        ),
        (
            "wavenet",
            [Embedding, Dropout, Dropout, CausalConv1D, GatedStack, ReLU, Dropout, Dense, ReLU, Dropout, Dense],
        ),
        ("lstm-steps", [Embedding, Dropout, Dropout, LSTM, Dropout, Dense]),
    ],
)
def test_a_model_has_its_layers(model, kinds):
    network = build(MODELS[model], 7)
    assert [type(layer) for layer in network.layers] == kinds
    steps = 1 if MODELS[model].windowed else 32
    assert network.forward(np.zeros((32, 3), int))[0].shape == (steps, 3, 7)
    assert network.dtype == np.float32
    assert_array_equal(build(MODELS[model], 7).params.flat, network.params.flat)
    assert (build(replace(MODELS[model], seed=1), 7).params.flat != network.params.flat).any()


def test_the_models_of_the_article_have_its_sizes():
    simple, lstm = (build(MODELS[name], 55) for name in ("wavenet-simple", "lstm"))
    assert simple.params.flat.size == 227_955
    convolutions = [layer for layer in simple.layers if isinstance(layer, CausalConv1D)]
    assert [layer.output_size for layer in convolutions] == [64, 128, 256]
    assert [(layer.kernel_size, layer.dilation) for layer in convolutions] == [(3, 1), (3, 2), (3, 4)]
    assert [layer.rate for layer in simple.layers if isinstance(layer, Dropout)] == [0.2] * 3
    assert simple.layers[0].output_size == 100
    table = simple.summary(32).splitlines()
    assert table[-1].split() == ["all", "227,955"]
    assert [line.split("(")[-1].split(",")[0] for line in table if line.startswith("MaxPool1D")] == ["16", "8", "4"]
    assert [layer.hidden_size for layer in lstm.layers if isinstance(layer, LSTM)] == [128, 128]
    assert [layer.output_size for layer in lstm.layers if isinstance(layer, Dense)] == [256, 55]
    for settings in (MODELS["lstm"], MODELS["wavenet-simple"]):
        assert (settings.learning_rate, settings.batch_size, settings.epochs, settings.window) == (0.001, 128, 50, 32)
        assert (settings.clip_norm, settings.average) == (None, 0)


def test_the_wavenet_reaches_back_over_a_window():
    network = build(replace(MODELS["wavenet"], **NO_NOISE), 9)
    x = np.zeros((40, 1), int)
    before = network.forward(x)[0][-1, 0]
    for place, seen in [(39 - 32, True), (39 - 33, False)]:
        changed = x.copy()
        changed[place] = 5
        assert (np.abs(network.forward(changed)[0][-1, 0] - before).max() > 0) == seen


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model": "transformer"}, "model must be one of lstm, wavenet-simple, wavenet, lstm-steps"),
        ({"split": "half"}, "split must be one of piece, random, got 'half'"),
        ({"window": 7}, "window must be a whole number of at least 8, got 7"),
        ({"min_count": 0}, "min_count must be a whole number of at least 1"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"split": "random", "transpose": True}, "transposing needs the split by piece"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong, message):
    with pytest.raises(NumpyrnnError, match=message):
        Settings(**wrong)


# what is learned


def test_the_shipped_pieces_give_the_windows_that_were_counted_elsewhere(shipped):
    by_piece = Material(*split_by_piece(shipped, 0), Settings())
    assert len(by_piece.vocabulary) == 55
    assert len(by_piece.learned.starts) + len(by_piece.unseen.starts) == 5110
    at_random = Material(shipped, [], Settings(split="random"))
    assert len(at_random.vocabulary) == 55
    assert (len(at_random.learned.starts), len(at_random.unseen.starts)) == (4088, 1022)
    assert not set(at_random.learned.starts) & set(at_random.unseen.starts)


def test_rare_tokens_are_dropped_and_with_rhythm_replaced(shipped, shipped_with_rhythm):
    for pieces, rhythm in [(shipped, False), (shipped_with_rhythm, True)]:
        parts = split_by_piece(pieces, 0)
        material = Material(*parts, Settings(rhythm=rhythm))
        tokens = [piece.tokens for part in parts for piece in part]
        kept = [*map(Rhythms(tokens, 50, 10).write, tokens)] if rhythm else keep_common(tokens, 50)
        sequences = [*material.learned.sequences, *material.unseen.sequences]
        assert [material.vocabulary.decode(ids) for ids in sequences] == kept
        assert len(count_names(kept)) == 55
        assert (len(material.vocabulary) > 55) == rhythm
        assert (count_names(kept).total() == count_names(tokens).total()) == rhythm


@pytest.mark.parametrize("rhythm", [False, True])
def test_only_the_training_part_is_moved_to_other_keys(shipped, shipped_with_rhythm, rhythm):
    pieces = shipped_with_rhythm if rhythm else shipped
    parts = split_by_piece(pieces, 0)
    as_it_is, moved = (Material(*parts, Settings(rhythm=rhythm, transpose=t)) for t in (False, True))
    new = set(moved.vocabulary.tokens) - set(as_it_is.vocabulary.tokens)
    assert {name_of(token) for token in new} <= ({WAIT} if rhythm else set())
    assert [moved.vocabulary.decode(ids) for ids in moved.unseen.sequences] == [
        as_it_is.vocabulary.decode(ids) for ids in as_it_is.unseen.sequences
    ]
    assert_array_equal(moved.unseen.starts, as_it_is.unseen.starts)
    assert sorted(KEYS) == list(range(-6, 6))
    assert len(moved.sources) == len(moved.learned.sequences) == 12 * len(parts[0])
    known = {name_of(token) for token in moved.vocabulary.tokens}
    for (piece, semitones), ids in zip(moved.sources, moved.learned.sequences, strict=True):
        assert piece in parts[0]
        # all tokens are transposed, rare ones too; only then are those dropped or replaced that the vocabulary lacks
        higher = [transpose(token, semitones) for token in piece.tokens]
        names = [name_of(token) if token else None for token in higher]
        found = [name for name in map(name_of, moved.vocabulary.decode(ids)) if name != WAIT]
        if rhythm:
            assert len(found) == len(names)
            assert all(one == other for one, other in zip(names, found, strict=True) if one in known)
        else:
            assert found == [name for name in names if name in known]
    for untransposed, ids in zip(as_it_is.learned.sequences, moved.learned.sequences, strict=False):
        # the piece's own key comes first
        assert as_it_is.vocabulary.decode(untransposed) == moved.vocabulary.decode(ids)


def test_a_rare_token_is_a_common_one_in_another_key():
    pieces = [Piece("a", None, ["C4"] * 20 + ["D4"]), Piece("b", None, ["C4"] * 20)]
    material = Material(pieces[:1], pieces[1:], replace(TINY["lstm"], transpose=True))
    assert material.vocabulary.tokens == ["C4"]
    lengths = {
        semitones: len(ids) for (_, semitones), ids in zip(material.sources, material.learned.sequences, strict=True)
    }
    assert lengths == dict.fromkeys(KEYS, 0) | {0: 20, -2: 1}


@MODEL
@pytest.mark.parametrize("transposed", [False, True])
def test_nothing_of_a_held_out_piece_is_trained_on(model, transposed):
    pieces = [*made_up(4), Piece("held out", None, made_up(1, seed=7)[0].tokens + ["A0", "C8"] * 4)]
    seed = next(s for s in range(100) if split_by_piece(pieces, s)[1] == pieces[4:])
    training, seen = PianoTraining.of_pieces(pieces, replace(TINY[model], transpose=transposed, seed=seed)), set()

    def note(batch):
        seen.update(batch.x.ravel().tolist() + batch.targets.ravel().tolist())

    training.run(2, on_batch=note)
    only_there = set(training.vocabulary.encode(["A0", "C8"]).tolist())
    assert only_there <= set(training.material.unseen.ids.tolist())
    assert not only_there & seen
    assert seen


@MODEL
def test_of_random_windows_those_held_out_are_never_a_label_after_their_window(model):
    ids = np.random.default_rng(0).permutation(len(NAMES) * 40) % len(NAMES)
    piece = Piece("a", None, [NAMES[i] for i in ids])
    material = Material([piece], [], replace(TINY[model], split="random"))
    held_out = {tuple(material.unseen.ids[s : s + 9]) for s in material.unseen.starts}
    assert len(held_out) == round(0.2 * (len(ids) - 8))
    for batch in material.batches(np.random.default_rng(0)):
        assert len(batch.targets) == (1 if material.settings.windowed else 8)
        trained_on = {(*x, y) for x, y in zip(batch.x.T.tolist(), batch.targets[-1].tolist(), strict=True)}
        assert not trained_on & held_out
    assert labels(material.held_out_batches()) == Counter(material.unseen.ids[s + 8] for s in material.unseen.starts)


def test_all_models_are_measured_at_the_same_labels(shipped):
    parts = split_by_piece(shipped, 3)
    expected = None
    for name, settings in MODELS.items():
        material = Material(*parts, settings)
        found = labels(material.held_out_batches())
        expected = expected or Counter(i for ids in material.unseen.sequences for i in ids[32:].tolist())
        assert found == expected, name
    assert expected.total() == len(material.unseen.starts)


def test_an_epoch_of_crops_is_as_long_in_one_key_as_in_twelve():
    one, twelve = (
        Material(*split_by_piece(PIECES, 0), replace(TINY["lstm-steps"], transpose=t)) for t in (False, True)
    )
    count = [sum(b.places for b in m.batches(np.random.default_rng(0))) for m in (one, twelve)]
    whole = sum(len(ids) for ids in one.learned.sequences)
    assert 11 * whole < count[0] <= 12 * whole
    assert 0 < count[1] <= 12 * whole


def test_the_loss_of_steps_by_independent_computation():
    training = trained(TINY["lstm-steps"], 1)
    expected, right = [], []
    for ids in training.material.unseen.sequences:
        step = Stepper(training.model)
        for place, (token, wanted) in enumerate(pairwise(ids), 1):
            logits = step(token).astype(np.float64)
            if place >= 8:
                expected.append(np.logaddexp.reduce(logits) - logits[wanted])
                right.append(logits.argmax() == wanted)
    assert_allclose(mean_loss(training.model, training.material.held_out_batches()), np.mean(expected), rtol=1e-5)
    assert accuracy(training.model, training.material.held_out_batches()) == np.mean(right)
    assert_allclose(training.trainer.best_loss, np.mean(expected), rtol=1e-5)


@pytest.mark.parametrize(
    ("pieces", "settings", "message"),
    [
        (
            made_up(3, 10),
            Settings(),
            r"must occur 50 times, of 30 tokens, 8 of them different, the commonest \(.*\) occurs",
        ),
        (made_up(2, 8), TINY["lstm"], "windows of 8 tokens to learn and to hold out, got 0 and 0 in pieces of"),
        (
            [Piece("a", None, ["C4"] * 99), Piece("b", None, ["D4"])],
            TINY["wavenet"],
            "--min-count or --window, or more",
        ),
    ],
)
def test_too_little_to_learn_is_an_error(pieces, settings, message):
    with pytest.raises(NumpyrnnError, match=message) as raised:
        PianoTraining.of_pieces(pieces, settings)
    assert "\n" not in str(raised.value)


@MODEL
def test_one_piece_is_enough(model):
    training = trained(TINY[model], 1, made_up(1, 100))
    assert [piece.name for piece in training.material.held_out] == ["piece 0, end"]
    assert np.isfinite(training.trainer.best_loss)


# training


@pytest.mark.slow
@MODEL
def test_a_pattern_can_be_learned(model):
    pattern = [NAMES[i] for i in (0, 1, 2, 0, 3, 4)] * 12
    pieces = [Piece(str(i), None, pattern[i:]) for i in range(4)]
    settings = replace(TINY[model], hidden=12, dense=12, embedding=8, learning_rate=0.01, batch_size=16, **NO_NOISE)
    training = trained(settings, 40, pieces)
    assert training.trainer.best_loss < 0.1
    assert accuracy(training.model, training.material.held_out_batches()) == 1


@MODEL
@pytest.mark.parametrize("split", ["piece", "random"])
def test_training_repeats_with_its_seed(model, split):
    settings = replace(TINY[model], split=split)
    one, again, other = (trained(s, 2) for s in (settings, settings, replace(settings, seed=1)))
    assert_array_equal(one.model.params.flat, again.model.params.flat)
    assert without_times(one.trainer.history) == without_times(again.trainer.history)
    assert (one.model.params.flat != other.model.params.flat).any()


@MODEL
@pytest.mark.parametrize("what", [{"split": "random"}, {"transpose": True}, {"rhythm": True}], ids=str)
def test_a_resumed_training_equals_one_without_a_break(tmp_path, model, what):
    settings, pieces = replace(TINY[model], **what), made_up(rhythm="rhythm" in what)
    whole, half = trained(settings, 3, pieces), trained(settings, 1, pieces)
    save(tmp_path / "half.npz", half.checkpoint())
    resumed = PianoTraining.resume(load(tmp_path / "half.npz", KIND))
    resumed.run(3)
    assert_array_equal(resumed.model.params.flat, whole.model.params.flat)
    assert_array_equal(resumed.trainer.state()["weights"], whole.trainer.state()["weights"])
    assert without_times(resumed.trainer.history) == without_times(whole.trainer.history)
    assert resumed.checkpoint().config == whole.checkpoint().config


def test_an_interrupted_training_equals_one_without_a_break(tmp_path):
    training, steps = PianoTraining.of_pieces(PIECES, TINY["lstm-steps"]), []

    def interrupt(batch):
        steps.append(batch)
        if training.trainer.epoch:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        training.run(3, on_batch=interrupt)
    save(tmp_path / "one.npz", training.checkpoint())
    resumed = PianoTraining.resume(load(tmp_path / "one.npz"))
    resumed.run(3)
    assert_array_equal(resumed.model.params.flat, trained(TINY["lstm-steps"], 3).model.params.flat)


# checkpoints


def test_a_checkpoint_keeps_all_tokens_of_its_pieces():
    training = trained(replace(TINY["lstm-steps"], min_count=25), 1)
    checkpoint = training.checkpoint(resumable=False)
    assert checkpoint.kind == "piano"
    assert checkpoint.training is None
    assert checkpoint.config["settings"] == asdict(training.settings)
    assert len(checkpoint.config["tokens"]) == len(NAMES) > len(checkpoint.vocabulary)
    material = material_of(checkpoint)
    assert material.training == training.material.training
    assert material.held_out == training.material.held_out
    assert material.settings == training.settings
    assert_array_equal(material.learned.ids, training.material.learned.ids)


def test_a_checkpoint_holds_the_best_weights():
    training = trained(replace(TINY["lstm-steps"], learning_rate=1.0, average=0.0), 5)
    losses = [record["valid_loss"] for record in training.trainer.history]
    assert min(losses) < losses[-1]  # it is not the last that is the best
    best = training.checkpoint().model
    assert_allclose(mean_loss(best, training.material.held_out_batches()), min(losses), rtol=1e-6)


def test_a_checkpoint_in_the_middle_holds_the_best_weights_so_far():
    training = PianoTraining.of_pieces(PIECES, replace(TINY["lstm-steps"], learning_rate=1.0, average=0.0))
    found = []
    history = training.run(5, on_epoch=lambda record: found.append(training.checkpoint(resumable=False)))
    for epoch, checkpoint in enumerate(found, 1):
        loss = mean_loss(checkpoint.model, training.material.held_out_batches())
        assert_allclose(loss, min(record["valid_loss"] for record in history[:epoch]), rtol=1e-6)


def test_a_finished_model_cannot_be_resumed():
    with pytest.raises(NumpyrnnError, match="state of its training to be resumed; a shipped or --slim one does not"):
        PianoTraining.resume(trained(TINY["lstm"], 1).checkpoint(resumable=False))


def _of_settings(**changed):
    return lambda config: config | {"settings": config["settings"] | changed}


DAMAGE = [
    lambda config: {},
    lambda config: config | {"settings": 5},
    lambda config: config | {"tokens": None},
    lambda config: config | {"tokens": ["not a token"]},
    lambda config: config | {"training": 7},
    lambda config: config | {"training": ["ab"]},
    lambda config: config | {"training": [{"name": "a", "ids": [999]}]},
    lambda config: config | {"training": [{"name": "a", "ids": [-1]}]},
    lambda config: config | {"training": [{"name": "a", "ids": [[0, 1]]}]},
    lambda config: config | {"training": [{"name": "a", "ids": [0.5]}]},
    lambda config: config | {"training": [], "held_out": []},
    lambda config: config | {"held_out": []},
    lambda config: config | {"training": config["held_out"][:0]},
    _of_settings(model="nothing"),
    _of_settings(model=None),
    _of_settings(model=["lstm"]),
    _of_settings(min_count="3"),
    _of_settings(min_count=1e9),
    _of_settings(window=-1),
    _of_settings(window=10**9),
    _of_settings(window=10**30),
    _of_settings(seed=None),
    _of_settings(min_count=32),
    _of_settings(unheard_of=1),
]


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_model_with_foreign_content_is_one_clear_error(damage):
    checkpoint = trained(TINY["lstm-steps"], 1).checkpoint()
    damaged = replace(checkpoint, config=damage(checkpoint.config))
    for use in (material_of, PianoTraining.resume):
        with pytest.raises(NumpyrnnError, match="the model must hold its settings and pieces, it does not") as raised:
            use(damaged)
        assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dropout": 2}, "dropout must be .*, got 2"),
        ({"hidden": -1}, "hidden must be .*, got -1"),
        ({"hidden": 10**9}, "hidden must be a whole number of at most 4,096, got 1000000000"),
        ({"hidden": "x"}, "hidden must be .*, got 'x'"),
        ({"learning_rate": None}, "learning_rate must be .*, got None"),
    ],
    ids=str,
)
def test_settings_that_no_network_can_have_are_found_when_it_is_resumed(wrong, message):
    checkpoint = trained(TINY["lstm-steps"], 1).checkpoint()
    config = _of_settings(**wrong)(checkpoint.config)
    with pytest.raises(NumpyrnnError, match=message):
        PianoTraining.resume(replace(checkpoint, config=config))


def test_a_network_of_another_vocabulary_is_refused():
    checkpoint = trained(TINY["lstm-steps"], 1).checkpoint()
    network = build(TINY["lstm-steps"], len(checkpoint.vocabulary) + 1)
    with pytest.raises(NumpyrnnError, match="the network must be that of its settings"):
        material_of(replace(checkpoint, model=network))
