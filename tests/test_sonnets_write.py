"""Writing on from a prompt."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from numpyrnn import LSTM, NumpyrnnError
from numpyrnn.sampling import Sampler
from numpyrnn.vocab import Vocabulary
from sonnets import text as text_module
from sonnets.model import SonnetTraining
from sonnets.recipes import RECIPES
from sonnets.text import first_lines, opening, read_plain, split_text
from sonnets.write import LENGTH, continue_prompt
from workbench.files import data_path

TEXT = "\n\n".join(read_plain(data_path("sonnets.txt")).split("\n\n")[:4]) + "\n"  # four sonnets
SETTINGS = {
    "streams": replace(RECIPES["streams"], hidden=12, embedding=6, batch_size=4, steps=20),
    "course": replace(RECIPES["course"], hidden=8, steps=12, stride=9, learning_rate=0.01),
}
GREEK = "Μῆνιν ἄειδε θεὰ Πηληϊάδεω Ἀχιλῆος\n" * 20
CHINESE = "床前明月光疑是地上霜。\n舉頭望明月低頭思故鄉。\n\n" * 20


@pytest.fixture(scope="module", params=list(SETTINGS))
def checkpoint(request):
    training = SonnetTraining(*split_text(TEXT), SETTINGS[request.param])
    training.run(2)
    return training.checkpoint()


def poem(checkpoint, prompt="", seed=0, *limits, temperature=0.8, top_k=None):
    return "".join(continue_prompt(checkpoint, prompt, Sampler(seed, temperature, top_k), *limits))


def surest(checkpoint, prompt, length):
    """Always the most probable character: each from a pass over all that stands before it, or the 12 before it."""
    ids, settings = checkpoint.vocabulary.encode("\n" + prompt).tolist(), checkpoint.config["settings"]
    for _ in range(length):
        seen = ids[-settings["steps"] :] if settings["stride"] else ids
        logits, _, _ = checkpoint.model.forward(np.array(seen)[:, None])
        ids.append(int(logits[-1, 0].argmax()))
    return "".join(checkpoint.vocabulary.decode(ids[-length:]))


def test_poems_repeat_with_their_seed_and_change_with_it(checkpoint):
    one, again, other = (poem(checkpoint, "thy", seed, 60) for seed in (5, 5, 6))
    assert one == again != other
    assert poem(checkpoint, "", None, 60) != poem(checkpoint, "", None, 60)


@pytest.mark.parametrize("prompt", ["", "a", "thy self", TEXT[100:110], TEXT[100:111], TEXT[100:112], TEXT[:500]])
def test_a_poem_goes_on_from_the_whole_prompt_or_its_last_ones(checkpoint, prompt):
    assert poem(checkpoint, prompt, 0, 30, temperature=0.0) == surest(checkpoint, prompt, 30)
    assert poem(checkpoint, prompt, 0, 30, top_k=1) == surest(checkpoint, prompt, 30)


def test_what_stands_far_before_counts_for_the_streams_only(checkpoint):
    model = checkpoint.model.copy()
    for layer in model.layers:
        if isinstance(layer, LSTM):
            layer.params["b"][2] = 20  # it forgets nothing
    checkpoint, before, end = replace(checkpoint, model=model), "a" * 100, TEXT[100:140]
    same = poem(checkpoint, before + end, 1, 200) == poem(checkpoint, end, 1, 200)
    assert same == bool(checkpoint.config["settings"]["stride"])


def test_characters_come_as_they_are_drawn(checkpoint):
    sampler, before = Sampler(3, 0.8), []
    characters = continue_prompt(checkpoint, "thy", sampler, 1000)
    for _ in range(5):
        before.append(sampler.rng.bit_generator.state["state"]["state"])
        assert len(next(characters)) == 1
    assert before[0] != before[1]  # nothing was drawn before the first was wanted
    assert poem(checkpoint, "thy", 3, 5) == "".join(islice(continue_prompt(checkpoint, "thy", Sampler(3, 0.8)), 5))


@pytest.mark.parametrize("length", [1, 2, 57])
def test_as_many_characters_come_as_were_asked_for(checkpoint, length):
    assert len(poem(checkpoint, "thy", 0, length)) == length
    assert len(poem(checkpoint, "", 0, length)) == length


def test_without_a_number_400_characters_come(checkpoint):
    assert len(poem(checkpoint, "thy")) == LENGTH == 400


@pytest.mark.parametrize(("prompt", "n_before"), [("", 0), ("thy", 0), ("thy\n", 1), ("\n\nthy\n\nself\nm", 2)])
@pytest.mark.parametrize("lines", [1, 3])
def test_a_poem_ends_with_its_lines(checkpoint, prompt, n_before, lines):
    written = poem(checkpoint, prompt, 2, None, lines)
    if lines <= n_before:
        assert written == ""
        return
    whole = (prompt + written).split("\n")
    assert written.endswith("\n")
    assert sum(bool(line.strip()) for line in whole) == lines
    assert poem(checkpoint, prompt, 2, 3, lines) == written[:3]  # the length counts too
    assert poem(checkpoint, prompt, 2, len(written) + 5).startswith(written)


def test_lines_alone_may_be_longer_than_the_usual_length(checkpoint):
    assert len(poem(checkpoint, "", 0, None, 15, temperature=1.0)) > LENGTH


def test_capitals_and_accents_are_read_as_the_model_reads_them(checkpoint):
    assert poem(checkpoint, "THY Self", 1, 40) == poem(checkpoint, "thy self", 1, 40)
    assert poem(checkpoint, "thy\r\nself", 1, 40) == poem(checkpoint, "thy\nself", 1, 40)


@pytest.mark.parametrize("prompt", ["Shall", "shall"])
def test_capitals_count_where_they_were_kept(prompt):
    text = "Shall I shall\n" * 40
    checkpoint = SonnetTraining(*split_text(text), SETTINGS["streams"], keep_case=True).checkpoint()
    assert poem(checkpoint, prompt, 0, 20, temperature=0.0) == surest(checkpoint, prompt, 20)
    with pytest.raises(NumpyrnnError, match="got 'H'"):
        poem(checkpoint, "SHall")


def test_unknown_characters_are_an_error_before_anything_is_drawn(checkpoint):
    with pytest.raises(NumpyrnnError, match=r"prompt must be of the model's characters .*, got '1' '€' \(--unknown"):
        continue_prompt(checkpoint, "th1y €self", Sampler(0))


@pytest.mark.parametrize(
    ("limits", "message"), [((0,), "length .* at least 1, got 0"), ((None, 0), "lines .* at least 1, got 0")]
)
def test_nothing_cannot_be_written(checkpoint, limits, message):
    with pytest.raises(NumpyrnnError, match=message):
        continue_prompt(checkpoint, "", Sampler(0), *limits)


def test_a_model_of_other_ids_than_its_vocabulary_has_is_refused(checkpoint):
    foreign = replace(checkpoint, vocabulary=Vocabulary("\nab"))
    with pytest.raises(NumpyrnnError, match="ids must hold ids from 0 to 2"):
        poem(foreign, "ab")


def test_openings_are_first_lines_of_the_training_text(checkpoint, monkeypatch):
    lines = [line + "\n" for line in first_lines(split_text(TEXT)[0])]
    assert {opening(checkpoint, np.random.default_rng(seed)) for seed in range(60)} == set(lines)
    assert len({opening(checkpoint, np.random.default_rng(7)) for _ in range(5)}) == 1
    monkeypatch.setattr(text_module, "KEPT", 0)
    slim = SonnetTraining(*split_text(TEXT), SETTINGS["streams"]).checkpoint()
    assert "training" not in slim.config
    assert {opening(slim, np.random.default_rng(seed)) for seed in range(60)} == set(lines)


@pytest.mark.parametrize(("text", "prompt"), [(GREEK, "ΜῆΝΙΝ"), (CHINESE, "明月")])
def test_any_writing_is_learned_and_written(text, prompt):
    training = SonnetTraining(*split_text(text.lower()), SETTINGS["streams"])
    training.run(1)
    written = poem(training.checkpoint(), prompt, 0, 50)
    assert len(written) == 50
    assert set(written) <= set(text.lower())
