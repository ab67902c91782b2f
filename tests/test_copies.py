"""Copied runs, checked against an exhaustive search."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workbench.copies import Copies, Run

words = st.text("ab京", max_size=7)


@given(words, st.lists(words, max_size=5), st.booleans())
def test_the_longest_run_is_the_longest_of_all_and_the_first_of_the_sample(sample, sources, as_tokens):
    given_sources = [[letter * 2 for letter in source] for source in sources] if as_tokens else sources
    given_sample = [letter * 2 for letter in sample] if as_tokens else sample
    runs = [
        (i, j)
        for i in range(len(sample))
        for j in range(i + 1, len(sample) + 1)
        if any(sample[i:j] in s for s in sources)
    ]
    found = Copies(given_sources).longest(given_sample)
    assert found.length == max((j - i for i, j in runs), default=0)
    if found.length:
        run = sample[found.start : found.start + found.length]
        assert sources[found.source][found.place :].startswith(run)
        assert found.start == min(i for i, j in runs if j - i == found.length)
        assert not any(run in source for source in sources[: found.source])
        assert sources[found.source].index(run) == found.place
        first = Copies(given_sources).longest(given_sample, by_source=True)
        assert first.length == found.length
        run = sample[first.start : first.start + first.length]
        assert sources[first.source][first.place :].startswith(run)
        longest = {sample[i:j] for i, j in runs if j - i == found.length}
        places = [(n, source.index(one)) for one in longest for n, source in enumerate(sources) if one in source]
        assert (first.source, first.place) == min(places)


def test_a_run_does_not_go_over_the_end_of_a_source():
    assert Copies(["ab", "cd"]).longest("abcd") == Run(2, 0, 0, 0)
    assert Copies([[1, 2], [3, 4]]).longest([2, 3, 4, 9]) == Run(2, 1, 1, 0)


@pytest.mark.parametrize("sample", [[], [7], [7, 8, 7]])
def test_tokens_that_no_source_has_are_not_copied(sample):
    assert Copies([[1, 2, 3]]).longest(sample) == Run(0)
    assert Copies([]).longest(sample) == Run(0)


def test_no_source_and_empty_sources_hold_nothing():
    assert Copies([]).longest("abc") == Copies(["", ""]).longest("abc") == Run(0)
