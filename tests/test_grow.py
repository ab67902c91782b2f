"""Trainings that start from the weights of another model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.testing import assert_allclose, assert_array_equal

import dinos.cli
import jazz.cli
import piano.cli
import sonnets.cli
from dinos.model import NameTraining, Settings, names_of
from numpyrnn import GRU, LSTM, Dense, Embedding, NumpyrnnError, Sequential, Vocabulary, load, save
from numpyrnn.activations import softmax
from workbench.files import data_path, load_model
from workbench.grow import TIMES, grow, mixed, mixed_text

OLD, NEW = Vocabulary("bdfhxy"), Vocabulary("abcdefghxyz")
OLD_IDS = [NEW.ids[token] for token in OLD.tokens]


def network(size, embedded, hidden):
    below = [Embedding(size, 5, rng=1), LSTM(5, hidden, rng=2)] if embedded else [GRU(size, hidden, rng=2)]
    return Sequential(*below, Dense(hidden, size, rng=3))


@pytest.mark.parametrize("hidden", [4, len(OLD), len(NEW)])
@pytest.mark.parametrize("embedded", [True, False])
def test_old_tokens_are_predicted_as_before_and_new_ones_as_their_kind(embedded, hidden):
    old, new = network(len(OLD), embedded, hidden), network(len(NEW), embedded, hidden)
    old.params.flat[...] = np.random.default_rng(0).standard_normal(old.params.flat.size)
    grow(new, NEW, old, OLD, lambda token: token in "xyz")
    text = "bxdyfhxb"
    before, after = (softmax(m(v.encode(text)[:, None])[:, 0]) for m, v in ((old, OLD), (new, NEW)))
    kept = after[:, OLD_IDS]
    assert_allclose(kept / kept.sum(axis=1, keepdims=True), before, rtol=1e-5)
    assert (kept.sum(axis=1) >= len(OLD) / len(NEW) - 1e-6).all()  # Hewitt 2021
    logits = new(NEW.encode(text)[:, None])[:, 0]
    assert_allclose(logits[:, NEW.ids["z"]], logits[:, [NEW.ids["x"], NEW.ids["y"]]].mean(axis=1), rtol=1e-4, atol=1e-5)
    others = [NEW.ids[token] for token in "bdfh"]
    assert_allclose(logits[:, NEW.ids["a"]], logits[:, others].mean(axis=1), rtol=1e-4, atol=1e-5)


def test_a_model_that_grows_by_nothing_stays_as_it_is():
    old, new = network(len(OLD), True, 4), network(len(OLD), True, 4)
    old.params.flat[...] += 1
    grow(new, OLD, old, OLD, lambda token: None)
    assert_array_equal(new.params.flat, old.params.flat)


def test_a_token_of_a_new_kind_is_the_mean_of_all():
    old, new = network(len(OLD), True, 4), network(len(NEW), True, 4)
    grow(new, NEW, old, OLD, lambda token: token)
    assert_allclose(new.params["0.W"][NEW.ids["a"]], old.params["0.W"].mean(axis=0), rtol=1e-6)


def test_an_epoch_reads_what_is_own_several_times_and_as_much_of_the_rest():
    lengths, own = [10, 20, *[15] * 40], [True, True, *[False] * 40]
    chosen = mixed(lengths, own, np.random.default_rng(0))
    assert [chosen.count(i) for i in (0, 1)] == [TIMES, TIMES]
    rest = [i for i in chosen if i > 1]
    assert len(set(rest)) == len(rest) == 8  # of 15, beside 4 * 30
    assert chosen != mixed(lengths, own, np.random.default_rng(1))
    assert mixed(lengths, [False] * 42, np.random.default_rng(0)) == list(range(42))
    assert sorted(set(mixed([5, 5], [True, False], np.random.default_rng(0)))) == [0, 1]


@pytest.mark.parametrize(("length", "own"), [(1000, 50), (1000, 900), (60, 60), (60, 1 << 53), (60, 0)])
def test_an_epoch_reads_the_own_text_several_times_and_as_much_of_the_rest(length, own):
    places = np.arange(length)[mixed_text(length, own, np.random.default_rng(0))]
    own = min(own, length)
    assert (np.bincount(places, minlength=length)[:own] == TIMES).all()
    assert len(places) == (min(2 * TIMES * own, TIMES * own + length - own) if own else length)
    assert places.max() < length


# the programs


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def do(app, line):
    return CliRunner().invoke(app, line.split())


def small_base(path):
    names = data_path("dinos.txt").read_text().split()[:60]
    training = NameTraining(names[6:], names[:6], Settings(hidden=6, embedding=4, copies=1.0))
    training.run(2)
    save(path, training.checkpoint())
    return load_model(path, "dinos")


def test_names_start_from_a_model_and_the_model_stays_as_it_is(folder):
    base, before = small_base("base.npz"), Path("base.npz").read_bytes()
    Path("own.txt").write_text("Éowyn\nÉomer\nGandalf\nGimli\nLegolas\nFrodo\n", "utf-8")
    done = do(dinos.cli.app, "train own.txt --start base.npz --epochs 2 --seed 3 -o own.npz")
    assert done.exit_code == 0, done.output
    made = load_model("own.npz", "dinos")
    assert Path("base.npz").read_bytes() == before
    training, held_out = names_of(made)
    assert made.config["settings"]["own"] == 5
    assert {*training[:5], *held_out} == {"éowyn", "éomer", "gandalf", "gimli", "legolas", "frodo"}
    assert {*training[5:]} == {*names_of(base)[0], *names_of(base)[1]}
    assert set(made.vocabulary.tokens) == {*base.vocabulary.tokens, *"éowyngandalfgimlilegolasfrodoéomer"}
    assert made.config["settings"]["learning_rate"] == base.config["settings"]["learning_rate"] / 2
    untrained = NameTraining.started([*training[:5], *held_out], base, 3)
    assert_array_equal(untrained.trainer.best, untrained.model.params.flat)
    for argument in ("-o base.npz --force", f"--start shipped -o {data_path('models/dinos.npz')} --force"):
        done = do(dinos.cli.app, f"train own.txt --start base.npz {argument}")
        assert "must not be replaced" in str(done.exception)
    assert Path("base.npz").read_bytes() == before


def test_a_started_training_is_resumed_to_the_same_bits(folder):
    small_base("base.npz")
    Path("own.txt").write_text("Gandalf\nGimli\nLegolas\nFrodo\n", "utf-8")
    for line in ("--start base.npz --epochs 3 -o whole.npz", "--start base.npz --epochs 1 -o half.npz"):
        assert do(dinos.cli.app, f"train own.txt {line}").exit_code == 0
    assert do(dinos.cli.app, "train --resume half.npz --epochs 3").exit_code == 0
    half, whole = load("half.npz"), load("whole.npz")
    assert_array_equal(half.model.params.flat, whole.model.params.flat)
    assert_array_equal(half.training["weights"], whole.training["weights"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("own.txt --start base.npz --hidden 9", "a training that starts from a model keeps its settings, got --hidden"),
        ("own.txt --start base.npz --keep-case", "keeps its settings, got --keep-case"),
        ("--start base.npz", "needs data to learn"),
        ("--resume base.npz --start base.npz", "a resumed training keeps its settings, got --start"),
        ("own.txt --start own.txt", "must be a model file"),
        ("own.txt --start nothing.npz", "there is no file 'nothing.npz'"),
        ("own.txt --start other.npz", "must be a model of dinos"),
        ("own.txt --start forged.npz", "the names of a model must be distinct"),
    ],
)
def test_what_cannot_start_is_one_error(folder, line, message):
    base = small_base("base.npz")
    Path("own.txt").write_text("Gandalf\nGimli\nLegolas\nFrodo\n", "utf-8")
    save("other.npz", replace(base, kind="sonnets"))
    save("forged.npz", replace(base, config=base.config | {"training": ["abel", "abel"], "held_out": ["baga"]}))
    done = do(dinos.cli.app, f"train {line} -o new.npz")
    assert done.exit_code in (1, 2)
    assert message in (str(done.exception) if isinstance(done.exception, NumpyrnnError) else done.stderr)
    assert not Path("new.npz").exists()


def chorus_files(n):
    from jazz.reading.corpus import shipped_choruses

    return shipped_choruses()[:n]


@pytest.mark.parametrize("program", ["jazz", "piano", "sonnets"])
def test_other_programs_start_from_a_model_too(folder, program):
    from jazz.reading.corpus import chorus_midi, read_chorus
    from music.midi import write_midi

    app = {"jazz": jazz.cli.app, "piano": piano.cli.app, "sonnets": sonnets.cli.app}[program]
    match program:
        case "jazz":
            files = chorus_files(3)
            base = f"train {files[0]} {files[1]} --hidden 4"
            own = str(files[2])
        case "piano":
            for i, file in enumerate(chorus_files(4)):
                write_midi(Path(f"{i}.mid"), chorus_midi(read_chorus(file)))
            base, own = "train 0.mid 1.mid 2.mid --min-count 2 --window 8", "3.mid"
        case "sonnets":
            text = data_path("sonnets.txt").read_text()
            Path("base.txt").write_text(text[:3000])
            Path("own.txt").write_text(text[9000:10500].replace("love", "Lö[ve"))
            base, own = "train base.txt --hidden 6", "own.txt"
    done = do(app, f"{base} --epochs 1 -o base.npz")
    assert done.exit_code == 0, done.output
    before, old = Path("base.npz").read_bytes(), load_model("base.npz", program)
    done = do(app, f"train {own} --start base.npz --epochs 2 -o own.npz")
    assert done.exit_code == 0, (done.output, done.exception)
    new = load_model("own.npz", program)
    assert {*old.vocabulary.tokens} <= {*new.vocabulary.tokens}
    assert len(new.vocabulary) > len(old.vocabulary)
    if program == "jazz":
        rates = "dropout", "input_dropout", "weight_dropout"
        assert all(new.config["settings"][name] == old.config["settings"][name] / 2 > 0 for name in rates)
    assert new.config["settings"]["own"] > 0
    assert Path("base.npz").read_bytes() == before
    done = do(app, "train --resume own.npz --epochs 3")
    assert done.exit_code == 0, (done.output, done.exception)
    done = do(app, f"evaluate --model own.npz --samples 5{' --solos 1 --form modal' * (program == 'jazz')}")
    assert done.exit_code == 0, (done.output, done.exception)
