"""From ids to batches."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from numpyrnn import NumpyrnnError
from numpyrnn.batches import Batch, crops, padded, streams, windows, windows_at
from numpyrnn.vocab import Vocabulary

sizes = st.integers(1, 8)
sequence_lists = st.lists(st.lists(st.integers(0, 9), min_size=2, max_size=9).map(np.array), min_size=1, max_size=12)


def columns(batches):
    """Every sequence of padded batches as (inputs, targets), padding taken off, in the order of the batches."""
    return [
        (batch.x[:length, n].tolist(), batch.targets[:length, n].tolist())
        for batch in batches
        for n, length in enumerate(batch.lengths.tolist())
    ]


def as_steps(sequences):
    """What `columns` should give for these sequences."""
    return [(sequence[:-1].tolist(), sequence[1:].tolist()) for sequence in sequences]


# Batch


def test_counts_of_lengths_are_the_real_steps():
    batch = Batch(np.zeros((3, 2), int), np.zeros((3, 2), int), np.array([3, 1]))
    assert batch.counts.tolist() == [[True, True], [True, False], [True, False]]


def test_counts_are_everywhere_without_lengths_and_mask():
    assert Batch(np.zeros((3, 2), int), np.zeros((3, 2), int)).counts is None


def test_counts_of_a_mask_are_the_mask():
    mask = np.array([[False], [True]])
    assert Batch(np.zeros((2, 1), int), np.zeros((2, 1), int), np.array([2]), mask).counts is mask


# padded


@given(sequence_lists, sizes, st.none() | st.integers(0, 99))
def test_every_sequence_comes_once_with_targets_moved_by_one(sequences, batch_size, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    assert sorted(columns(padded(sequences, batch_size, rng))) == sorted(as_steps(sequences))


@given(sequence_lists, sizes)
def test_batches_are_full_but_the_last(sequences, batch_size):
    numbers = [batch.x.shape[1] for batch in padded(sequences, batch_size)]
    assert sum(numbers) == len(sequences)
    assert all(number == batch_size for number in numbers[:-1])
    assert 1 <= numbers[-1] <= batch_size


@given(sequence_lists, sizes)
def test_lengths_fall_and_the_longest_fills_its_batch(sequences, batch_size):
    for batch in padded(sequences, batch_size):
        assert (np.diff(batch.lengths) <= 0).all()
        assert batch.lengths[0] == len(batch.x) == len(batch.targets)


@given(sequence_lists, sizes)
def test_padding_is_zero(sequences, batch_size):
    for batch in padded([sequence + 1 for sequence in sequences], batch_size):
        assert (batch.targets[~batch.counts] == 0).all()
        assert (batch.targets[batch.counts] > 0).all()
        later = np.arange(len(batch.x))[:, None] > batch.lengths  # x has a last id that is never an input
        assert (batch.x[later] == 0).all()


def test_without_rng_sequences_keep_their_order_between_batches():
    sequences = [np.array([1, 2]), np.array([3, 4, 5]), np.array([6, 7])]
    assert columns(padded(sequences, 1)) == as_steps(sequences)


def test_equal_lengths_keep_their_order_within_a_batch():
    sequences = [np.array([1, 2]), np.array([3, 4, 5]), np.array([6, 7])]
    assert columns(padded(sequences, 3)) == as_steps([sequences[1], sequences[0], sequences[2]])


def test_the_same_rng_gives_the_same_shuffle_and_another_gives_another():
    sequences = [np.array([i, i]) for i in range(50)]
    first, again, other = (columns(padded(sequences, 7, np.random.default_rng(seed))) for seed in (3, 3, 4))
    assert first == again
    assert first != other
    assert first != as_steps(sequences)


def test_a_shuffle_leaves_the_sequences_as_they_were():
    sequences = [np.array([i, i + 1]) for i in range(9)]
    before = as_steps(sequences)
    list(padded(sequences, 4, np.random.default_rng(0)))
    assert as_steps(sequences) == before


def test_soft_targets_go_with_their_sequences():
    sequences = [np.array([5, 1]), np.array([6, 1, 2, 0]), np.array([7, 0, 0])]
    soft = [np.full((len(sequence) - 1, 3), sequence[0], np.float32) for sequence in sequences]
    for batch in padded(sequences, 2, np.random.default_rng(1), soft):
        assert batch.targets.shape == (*batch.x.shape, 3)
        assert batch.targets.dtype == np.float32
        for n, length in enumerate(batch.lengths.tolist()):
            assert (batch.targets[:length, n] == batch.x[0, n]).all()
            assert (batch.targets[length:, n] == 0).all()


def test_no_sequences_give_no_batches():
    assert list(padded([], 4)) == []


@pytest.mark.parametrize("short", [0, 1])
def test_a_sequence_without_a_step_is_named(short):
    with pytest.raises(NumpyrnnError, match=f"two ids or more, number 1 has {short}"):
        next(padded([np.arange(3), np.arange(short), np.arange(1)], 2))


# streams


@given(st.integers(2, 60), sizes, sizes)
def test_streams_put_together_are_the_text(length, batch_size, steps):
    ids = np.arange(length)
    part = (length - 1) // batch_size
    if part == 0:
        with pytest.raises(NumpyrnnError, match=f"{batch_size} streams need at least {batch_size + 1} ids"):
            next(streams(ids, batch_size, steps))
        return
    batches = list(streams(ids, batch_size, steps))
    x = np.concatenate([batch.x for batch in batches])
    targets = np.concatenate([batch.targets for batch in batches])
    for n in range(batch_size):  # stream number n begins where number n - 1 ended
        assert x[:, n].tolist() == list(range(n * part, (n + 1) * part))
    assert_array_equal(targets, x + 1)
    left_out = length - 1 - part * batch_size
    assert 0 <= left_out < batch_size


@given(st.integers(9, 60), sizes, sizes)
def test_streams_have_all_their_steps_but_the_last(length, batch_size, steps):
    lengths = [len(batch.x) for batch in streams(np.arange(length), batch_size, steps)]
    assert all(one == steps for one in lengths[:-1])
    assert 1 <= lengths[-1] <= steps


def test_streams_are_views():
    ids = np.arange(100)
    for batch in streams(ids, 4, 7):
        assert np.shares_memory(batch.x, ids)
        assert np.shares_memory(batch.targets, ids)


def test_streams_count_everywhere():
    assert all(batch.counts is None for batch in streams(np.arange(50), 3, 5))


# windows


@given(st.integers(2, 60), sizes, sizes, sizes)
def test_windows_are_the_pieces_of_the_text_at_every_stride(length, width, stride, batch_size):
    ids = np.arange(length)
    if length <= width:
        with pytest.raises(NumpyrnnError, match=f"windows of {width} need more than {width} ids, got {length}"):
            next(windows(ids, width, stride, batch_size))
        return
    batches = list(windows(ids, width, stride, batch_size))
    x = np.concatenate([batch.x for batch in batches], axis=1)
    expected = [list(range(start, start + width)) for start in range(0, length - width, stride)]
    assert x.T.tolist() == expected
    for batch in batches:
        assert_array_equal(batch.targets, batch.x + 1)
    assert [batch.x.shape[1] for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)


def test_windows_of_the_sonnets_are_those_of_the_course(shared_data):
    text = (shared_data / "shakespeare.txt").read_text("utf-8").lower()
    vocabulary = Vocabulary(text)
    assert len(vocabulary) == 38
    batches = list(windows(vocabulary.encode(text), 40, 3, 128))
    assert len(batches) == 246
    assert sum(batch.x.shape[1] for batch in batches) == 31_412
    assert "".join(vocabulary.decode(batches[0].x[:, 1])) == text[3:43]


def test_shuffled_windows_are_the_same_windows():
    ids = np.arange(100)
    plain = np.concatenate([batch.x for batch in windows(ids, 5, 2, 7)], axis=1)
    first, again, other = (
        np.concatenate([batch.x for batch in windows(ids, 5, 2, 7, np.random.default_rng(seed))], axis=1)
        for seed in (1, 1, 2)
    )
    assert_array_equal(first, again)
    assert (first[0] != other[0]).any()
    assert (first[0] != plain[0]).any()
    assert_array_equal(np.sort(first[0]), plain[0])


def test_last_only_gives_what_comes_after_every_window():
    ids = np.arange(20) ** 2
    for last, every in zip(windows(ids, 4, 3, 3, last_only=True), windows(ids, 4, 3, 3), strict=True):
        assert_array_equal(last.x, every.x)
        assert_array_equal(last.targets, every.targets[-1:])
        assert (last.places, every.places) == (last.x.shape[1], every.x.size)
        assert last.counts is every.counts is None


def test_windows_begin_where_they_are_told():
    ids = np.arange(30) ** 2
    starts = np.array([7, 0, 25, 7])
    batches = list(windows_at(ids, starts, 4, 3))
    assert np.concatenate([batch.x for batch in batches], axis=1).T.tolist() == [
        ids[s : s + 4].tolist() for s in starts
    ]
    targets = np.concatenate([batch.targets for batch in batches], axis=1).T
    assert targets.tolist() == [ids[s + 1 : s + 5].tolist() for s in starts]
    last = np.concatenate([batch.targets for batch in windows_at(ids, starts, 4, 3, last_only=True)], axis=1)
    assert_array_equal(last, targets.T[-1:])


# crops


@given(st.lists(st.integers(0, 40), max_size=4), st.integers(1, 12), st.integers(1, 4), st.integers(0, 9), sizes)
def test_crops_predict_each_id_at_most_once_and_leave_out_only_short_ends(groups, width, step, seed, shortest):
    sequences = [100 * i * step + np.arange(n * step) for i, n in enumerate(groups)]
    found = crops(sequences, width, np.random.default_rng(seed), step, shortest)
    predicted = [int(i) for crop in found for i in crop[1:]]
    assert len(predicted) == len(set(predicted))
    for crop in found:
        assert crop[0] % step == 0
        assert_array_equal(np.diff(crop), 1)
        assert 2 <= len(crop) <= width * step + 1
    for ids in sequences:
        lengths = [len(crop) - 1 for crop in found if len(ids) and ids[0] <= crop[0] <= ids[-1]]
        missing = set(ids[1:].tolist()) - set(predicted)
        assert len(missing) < 2 * shortest * step  # less than that at either end
        assert all(length == width * step for length in lengths[1:-1])
        assert all(length >= min(shortest * step, width * step, len(ids) - 1) for length in lengths)


def test_crops_change_from_epoch_to_epoch_and_repeat_with_their_seed():
    one, again, other = (
        [crop.tolist() for crop in crops([np.arange(100)], 16, np.random.default_rng(seed))] for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other


# errors


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: padded([np.arange(3)], 0), "batch_size must be at least 1, got 0"),
        (lambda: streams(np.arange(9), 0, 2), "batch_size must be at least 1, got 0"),
        (lambda: streams(np.arange(9), 2, 0), "steps must be at least 1, got 0"),
        (lambda: streams(np.zeros((9, 1), int), 2, 3), r"ids must have shape \(L,\), got \(9, 1\)"),
        (lambda: windows(np.arange(9), 0, 1, 1), "width must be at least 1, got 0"),
        (lambda: windows(np.arange(9), 2, 0, 1), "stride must be at least 1, got 0"),
        (lambda: windows(np.arange(9), 2, 1, -1), "batch_size must be at least 1, got -1"),
        (lambda: windows(np.zeros((9, 2), int), 2, 1, 1), r"ids must have shape \(L,\), got \(9, 2\)"),
        (lambda: windows_at(np.arange(9), np.array([0, 7]), 2, 1), "of 2 in 9 ids must begin below 7, got 0 to 7"),
        (lambda: windows_at(np.arange(9), np.array([-1]), 2, 1), "must begin below 7, got -1 to -1"),
        (lambda: iter(crops([np.arange(9)], 0, np.random.default_rng(0))), "width must be at least 1 .*, got 0"),
        (lambda: iter(crops([np.arange(9)], 10**30, np.random.default_rng(0))), "width must .* at most 4.*, got 10"),
        (lambda: iter(crops([np.arange(9)], 2, np.random.default_rng(0), 0)), "step must be at least 1, got 0"),
    ],
)
def test_a_wrong_argument_is_named_with_what_came(make, message):
    with pytest.raises(NumpyrnnError, match=message):
        next(make())


def test_lists_stand_for_arrays_where_targets_are_counted():
    assert Batch([[0, 1], [1, 2]], [[1, 2], [2, 0]]).places == 4


def test_ids_of_different_depths_are_one_clear_error():
    with pytest.raises(NumpyrnnError, match="ids must be an array, got list"):
        list(streams([[1, 2], [3]], 1, 1))


def test_soft_targets_need_a_row_for_each_step():
    for soft in ([np.ones((2, 3))], [np.ones((3, 3)), np.ones((2, 3))]):
        with pytest.raises(
            NumpyrnnError, match="soft must hold one array for each sequence, with one row for each step"
        ):
            next(padded([[0, 1, 2], [2, 1, 0]], 2, soft=soft))
