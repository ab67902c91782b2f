"""Batches of piano pieces: windows, what counts, and the share of right answers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from numpyrnn import Embedding, Sequential
from numpyrnn.batches import Batch, windows_at
from piano.batches import accuracy, after_whole_windows, all_windows, split_windows

SEQUENCES = st.lists(st.lists(st.integers(0, 9), max_size=20).map(np.array), min_size=1, max_size=5)


@given(SEQUENCES, st.integers(1, 6))
def test_windows_are_all_runs_within_a_piece(sequences, window):
    part = all_windows(sequences, window)
    runs = [ids[i : i + window + 1] for ids in sequences for i in range(len(ids) - window)]
    assert [part.ids[start : start + window + 1].tolist() for start in part.starts] == [run.tolist() for run in runs]
    found = list(windows_at(part.ids, part.starts, window, 4))
    assert sum(batch.x.shape[1] for batch in found) == len(runs)
    if runs:
        assert_array_equal(np.concatenate([batch.x for batch in found], axis=1).T, [run[:-1] for run in runs])
        assert_array_equal(np.concatenate([batch.targets for batch in found], axis=1).T, [run[1:] for run in runs])


def test_losses_count_where_a_window_comes_before():
    x = np.zeros((5, 2), int)
    (batch,) = after_whole_windows([Batch(x, x, np.array([5, 3]))], 3)
    assert_array_equal(batch.counts, np.array([[0, 0, 1, 1, 1], [0, 0, 1, 0, 0]], bool).T)
    assert batch.places == 4


@given(st.integers(5, 200), st.integers(0, 5))
def test_a_fifth_of_the_windows_is_held_out_at_random(n, seed):
    whole = all_windows([np.arange(n + 8)], 8)
    training, held_out = split_windows(whole, seed)
    assert len(held_out.starts) == round(0.2 * n)
    assert sorted([*training.starts, *held_out.starts]) == list(range(n))
    assert_array_equal(split_windows(whole, seed)[1].starts, held_out.starts)


def test_accuracy_is_the_share_of_right_answers():
    network = Sequential(Embedding(3, 3, rng=0))
    network.layers[0].params["W"] = np.eye(3)  # says what it hears
    x = np.array([[0, 1], [1, 2]])
    y = np.array([[0, 1], [2, 2]])
    assert accuracy(network, [Batch(x, y)]) == 3 / 4
    assert accuracy(network, [Batch(x, y), Batch(x, y, mask=np.array([[0, 0], [1, 1]], bool))]) == 4 / 6
    assert accuracy(network, [Batch(x, y, np.array([2, 1]))]) == 2 / 3
