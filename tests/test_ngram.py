"""The Kneser-Ney n-gram."""

import tracemalloc
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from numpyrnn import NumpyrnnError
from numpyrnn.vocab import Vocabulary
from workbench.files import data_path
from workbench.ngram import START, KneserNey, best_ngram

END, A, B = 0, 1, 2
SMALL = [[A, B, END], [A, A, END]]

corpora = st.lists(st.lists(st.integers(1, 5), max_size=6).map(lambda ids: [*ids, 0]), min_size=1, max_size=10)
orders = st.integers(1, 4)


@pytest.fixture(scope="module")
def dinosaurs():
    """Shipped names as ids with their end, the training and the held-out part, and how many ids there are."""
    names = data_path("dinos.txt").read_text("utf-8").split()
    vocabulary = Vocabulary("\n" + "".join(names))
    ids = [vocabulary.encode(name + "\n").tolist() for name in names]
    held_out = ids[::5]
    training = [sequence for i, sequence in enumerate(ids) if i % 5]
    return training, held_out, len(vocabulary)


@given(corpora, orders, st.lists(st.integers(-1, 6), max_size=6).map(tuple))
def test_a_distribution_is_positive_and_sums_to_one_in_any_context(corpus, order, context):
    p = KneserNey(corpus, 7, order).distribution(context)  # id 6 is never seen
    assert p.shape == (7,)
    assert (p > 0).all()
    assert_allclose(p.sum(), 1, rtol=1e-12)


def plain_probability(corpus, size, order, context, token):
    """The recursion of the class's docstring, from dicts of tuples."""
    grams = Counter(
        tuple(padded[i : i + order])
        for ids in corpus
        for padded in [[START] * (order - 1) + ids]
        for i in range(len(ids))
    )
    tables = []
    for _ in range(order):
        tables.append(grams)
        grams = Counter(gram[1:] for gram in grams)
    p = 1 / size
    for n, grams in enumerate(reversed(tables)):
        kinds = Counter(grams.values())
        y = kinds[1] / (kinds[1] + 2 * kinds[2]) if kinds[1] and kinds[2] else 0.5
        discounts = defaultdict(lambda y=y: y)
        if all(kinds[k] for k in (1, 2, 3, 4)):
            for k in (1, 2, 3):
                discounts[k] = min(max(k - (k + 1) * y * kinds[k + 1] / kinds[k], 0.05), k - 0.05)
        end = context[len(context) - n :]
        counts = {gram[-1]: count for gram, count in grams.items() if gram[:-1] == end}
        if not counts or n > len(context):
            continue
        shares = {i: (count - discounts[min(count, 3)]) / sum(counts.values()) for i, count in counts.items()}
        p = p * (1 - sum(shares.values())) + shares.get(token, 0)
    return p


@given(corpora, orders, st.lists(st.integers(-1, 5), max_size=5).map(tuple), st.integers(0, 5))
def test_a_probability_is_that_of_the_plain_recursion(corpus, order, context, token):
    expected = plain_probability(corpus, 6, order, context, token)
    assert_allclose(KneserNey(corpus, 6, order).distribution(context)[token], expected, rtol=1e-13)


def test_order_one_by_hand():
    # a 3 times, b once, end twice, of 6. Kinds of count: n1 = n2 = n3 = 1, n4 = 0: too few to estimate three discounts,
    # so one, y = n1 / (n1 + 2 n2) = 1/3. Shares: a (3 - 1/3) / 6 = 8/18, b 2/18, end 5/18; what is left, 3/18, goes to
    # the uniform distribution, 1/18 each.
    p = KneserNey(SMALL, 3, 1).distribution(())
    assert_allclose(p[[A, B, END]], [9 / 18, 3 / 18, 6 / 18], rtol=1e-14)


@pytest.mark.parametrize(
    ("context", "a", "b", "end"),
    [
        # Below: different ids that come before: a {start, a} 2, b {a} 1, end {a, b} 2, of 5. n1 = 1, n2 = 2: y = 1/5.
        # Shares 1.8 / 5, 0.8 / 5, 1.8 / 5; 0.6 / 5 is left, 0.04 each.
        ((END,), 0.40, 0.20, 0.40),  # a context never seen: what is below
        # Above: (start, a) 2; (a, a), (a, b), (a, end), (b, end) 1 each. n1 = 4, n2 = 1: y = 4 / (4 + 2) = 2/3.
        ((START,), (2 - 2 / 3) / 2 + 0.40 / 3, 0.20 / 3, 0.40 / 3),  # left: (2/3) / 2 = 1/3
        ((A,), 1 / 9 + 0.40 * 2 / 3, 1 / 9 + 0.20 * 2 / 3, 1 / 9 + 0.40 * 2 / 3),  # left: 3 (2/3) / 3
        ((B,), 0.40 * 2 / 3, 0.20 * 2 / 3, 1 / 3 + 0.40 * 2 / 3),  # left: (2/3) / 1
    ],
)
def test_order_two_by_hand(context, a, b, end):
    p = KneserNey(SMALL, 3, 2).distribution(context)
    assert_allclose(p[[A, B, END]], [a, b, end], rtol=1e-14)


@pytest.mark.parametrize(
    ("counts", "discounts"),
    [
        # n1 = 3, n2 = 2, n3 = n4 = 1: y = 3/7, D1 = 1 - 2 y n2 / n1, D2 = 2 - 3 y n3 / n2, D3 = 3 - 4 y n4 / n3.
        ([1, 1, 1, 2, 2, 3, 4], {1: 1 - 4 / 7, 2: 2 - 9 / 14, 3: 3 - 12 / 7}),
        # n1 = n2 = n4 = 1, n3 = 2: y = 1/3; D2 = 2 - 3 y 2 = 0, but never nothing: 0.05.
        ([1, 2, 3, 3, 4], {1: 1 / 3, 2: 0.05, 3: 3 - 4 / 3 / 2}),
        # n1 = n2 = n3 = 1, n4 = 3: y = 1/3; D3 = 3 - 4 y 3 = -1, but never nothing: 0.05.
        ([1, 2, 3, 4, 4, 4], {1: 1 / 3, 2: 1.0, 3: 0.05}),
        # n1 = 10, n2 = n3 = n4 = 1: y = 10/12; D1 = 1 - 2 y / 10 = 5/6, D2 = 2 - 3 y < 0: 0.05; D3 likewise.
        ([1] * 10 + [2, 3, 4], {1: 5 / 6, 2: 0.05, 3: 0.05}),
        # No count of one, or none of two: one discount of a half.
        ([2, 3, 4], {2: 0.5, 3: 0.5}),
        ([1, 1, 3, 4], {1: 0.5, 3: 0.5}),
        # More than four is discounted like three.
        ([1, 2, 3, 4, 9], {1: 1 / 3, 2: 1.0, 3: 3 - 4 / 3}),
    ],
)
def test_discounts_of_one_two_and_three_or_more_by_hand(counts, discounts):
    sequence = np.repeat(np.arange(len(counts)), counts).tolist()
    shares = [(count - discounts[min(count, 3)]) / sum(counts) for count in counts]
    expected = np.array(shares) + (1 - sum(shares)) / len(counts)
    assert_allclose(KneserNey([sequence], len(counts), 1).distribution(()), expected, rtol=1e-13)


def test_below_the_highest_order_counts_are_of_different_ids_before():
    # 1 comes often, but after 2 only; 3 comes after 2, 4 and 5. Seen from a new context, 3 is the more probable.
    corpus = [[2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 3, 4, 3, 5, 3, 0]]
    unigram, bigram = (KneserNey(corpus, 7, order) for order in (1, 2))
    assert unigram.distribution(())[1] > unigram.distribution(())[3]
    assert bigram.distribution((6,))[1] < bigram.distribution((6,))[3]


@given(corpora, orders, st.lists(st.integers(0, 5), min_size=1, max_size=8))
def test_log_probabilities_are_the_chain_of_distributions(corpus, order, sequence):
    model = KneserNey(corpus, 6, order)
    before = (START,) * order
    chain = []
    for token in sequence:
        chain.append(np.log(model.distribution(before)[token]))
        before = (*before, token)
    assert_allclose(model.log_probabilities(sequence), chain, rtol=1e-14)
    assert_allclose(model.distributions(sequence)[np.arange(len(sequence)), sequence], np.exp(chain), rtol=1e-12)


@given(corpora, orders, st.lists(st.integers(0, 5), min_size=4, max_size=8).map(tuple))
def test_only_the_last_ids_of_a_context_matter(corpus, order, context):
    model = KneserNey(corpus, 6, order)
    assert_array_equal(model.distribution(context), model.distribution(context[len(context) - order + 1 :]))


@pytest.mark.parametrize("share", [-0.1, 1.1, 1e300, np.inf, np.nan])
def test_the_share_of_soft_targets_is_from_0_to_1(share):
    with pytest.raises(NumpyrnnError, match="share must be at least 0 and at most 1"):
        KneserNey(SMALL, 3, 2).soften([A, B, END], share)


def test_sequences_may_be_arrays():
    arrays = KneserNey([np.array(sequence) for sequence in SMALL], 3, 2)
    lists = KneserNey(SMALL, 3, 2)
    assert_array_equal(arrays.log_probabilities(np.array([A, B, END])), lists.log_probabilities([A, B, END]))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_samples_come_as_often_as_they_are_probable(order):
    model, rng, n = KneserNey(SMALL, 3, order), np.random.default_rng(5), 4000
    first_two = np.zeros((3, 3))
    ended = np.zeros(3)
    for _ in range(n):
        written = model.sample(rng, END, 2)
        if len(written) == 1:
            ended[written[0]] += 1
        else:
            first_two[written[0], written[1]] += 1
    p = model.distribution((START,) * (order - 1))
    expected = np.array([p[i] * model.distribution(((START,) * (order - 1) + (i,))[-order + 1 :]) for i in range(3)])
    assert ended[[A, B]].sum() == 0
    assert first_two[END].sum() == 0
    for frequency, probability in [(ended[END] / n, p[END]), *zip(first_two[1:].ravel() / n, expected[1:].ravel())]:
        assert abs(frequency - probability) < 4.5 * np.sqrt(probability * (1 - probability) / n)


def test_a_sample_ends_with_the_end_or_after_so_many_steps():
    model, rng = KneserNey(SMALL, 3, 2), np.random.default_rng(0)
    samples = [model.sample(rng, END, 3) for _ in range(200)]
    assert all(END not in sample[:-1] for sample in samples)
    assert all(sample[-1] == END or len(sample) == 3 for sample in samples)
    assert {len(sample) for sample in samples} == {1, 2, 3}
    assert model.sample(rng, END, 0) == []


def test_a_sample_repeats_with_its_seed():
    model = KneserNey(SMALL, 3, 2)
    assert model.sample(np.random.default_rng(8), END) == model.sample(np.random.default_rng(8), END)


def test_a_longer_context_predicts_real_names_better(dinosaurs):
    training, held_out, size = dinosaurs
    losses = [best_ngram(training, held_out, size, [order])[1] for order in (1, 2, 3, 4)]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] < np.log(size)
    assert losses[-1] < losses[0] - 0.5  # nats a character


def test_best_ngram_is_the_order_with_the_smallest_loss(dinosaurs):
    training, held_out, size = dinosaurs
    chosen, loss = best_ngram(training[:400], held_out, size, [1, 6, 3, 2])
    losses = {}
    for order in (1, 2, 3, 6):
        model = KneserNey(training[:400], size, order)
        log_p = [np.log(model.distributions(ids)[np.arange(len(ids)), ids]).sum() for ids in held_out]
        losses[order] = -sum(log_p) / sum(map(len, held_out))
    assert chosen.order == min(losses, key=losses.get)
    assert_allclose(loss, min(losses.values()), rtol=1e-12)


def test_a_long_text_takes_few_bytes_an_id():
    text = data_path("sonnets.txt").read_text("utf-8").lower()
    vocabulary = Vocabulary(text)
    ids = vocabulary.encode_text(text)
    tracemalloc.start()
    try:
        ngram = KneserNey([ids], len(vocabulary), 7)
        left, most = (n / len(ids) for n in tracemalloc.get_traced_memory())
    finally:
        tracemalloc.stop()  # it would slow down all tests after this one
    assert ngram.order == 7
    assert left < 50
    assert most < 150


def test_empty_sequences_change_nothing():
    with_empty, without = KneserNey([[], *SMALL, []], 3, 2), KneserNey(SMALL, 3, 2)
    assert_array_equal(with_empty.log_probabilities([A, B, END]), without.log_probabilities([A, B, END]))
    assert without.log_probabilities([]).shape == (0,)


@pytest.mark.parametrize("ids", [[3], [-1, 0]])
def test_ids_outside_are_an_error(ids):
    with pytest.raises(NumpyrnnError, match="must hold ids from 0 to 2, got "):
        KneserNey([ids], 3, 2)
    with pytest.raises(NumpyrnnError, match="must hold ids from 0 to 2, got "):
        KneserNey(SMALL, 3, 2).log_probabilities(ids)


@pytest.mark.parametrize("order", [1, 3])
def test_it_needs_a_sequence(order):
    with pytest.raises(NumpyrnnError, match="at least one sequence, got none"):
        KneserNey([], 3, order)


def test_it_needs_an_order():
    with pytest.raises(NumpyrnnError, match="order must be a whole number of at least 1, got 0"):
        KneserNey(SMALL, 3, 0)
