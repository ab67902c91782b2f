"""Softmax cross-entropy: worked by hand, against SciPy, masked, soft targets, and far out; label smoothing."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special

from numpyrnn import NumpyrnnError
from numpyrnn.losses import LabelSmoothing, softmax_cross_entropy

T, N, V = 4, 3, 5
RNG = np.random.default_rng(0)
LOGITS, TARGETS = RNG.normal(0, 3, (T, N, V)), RNG.integers(0, V, (T, N))
MASK = np.arange(T)[:, None] < np.array([4, 0, 2])


def test_two_places_by_hand():
    shift = np.array([[3.0], [-2.0]])  # changes nothing
    logits = np.log([[0.5, 0.25, 0.25], [0.125, 0.125, 0.75]]) + shift
    targets = np.array([0, 1])
    loss, dlogits = softmax_cross_entropy(logits, targets, reduction="sum")
    # -ln 1/2 - ln 1/8 = ln 2 + ln 8 = 4 ln 2; gradient: probabilities less 1 at the target
    assert_allclose(loss, 4 * np.log(2), rtol=1e-14)
    assert_allclose(dlogits, [[-0.5, 0.25, 0.25], [0.125, -0.875, 0.75]], rtol=1e-14)
    mean, dmean = softmax_cross_entropy(logits, targets)
    assert_allclose(mean, 2 * np.log(2), rtol=1e-14)
    assert_allclose(dmean, dlogits / 2, rtol=1e-14)


def test_it_is_the_mean_of_scipys_log_softmax():
    loss, dlogits = softmax_cross_entropy(LOGITS, TARGETS)
    log_p = special.log_softmax(LOGITS, axis=-1)
    assert isinstance(loss, float)
    assert_allclose(loss, -np.take_along_axis(log_p, TARGETS[..., None], -1).mean(), rtol=1e-13)
    assert_allclose(dlogits, (np.exp(log_p) - np.eye(V)[TARGETS]) / TARGETS.size, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("shape", [(V,), (T, V), (2, 2, 3, V)])
def test_any_number_of_leading_axes(shape):
    logits = np.arange(np.prod(shape)).reshape(shape) / 10
    loss, dlogits = softmax_cross_entropy(logits, np.zeros(shape[:-1], int))
    assert dlogits.shape == shape
    assert_allclose(loss, special.logsumexp(np.arange(V) / 10), rtol=1e-13)  # of every row, less its first logit


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_masked_places_count_for_nothing_whatever_stands_there(reduction):
    logits, targets = LOGITS.copy(), TARGETS.copy()
    logits[~MASK], targets[~MASK] = np.nan, -99
    loss, dlogits = softmax_cross_entropy(logits, targets, MASK, reduction)
    alone, dalone = softmax_cross_entropy(LOGITS[MASK], TARGETS[MASK], reduction=reduction)
    assert_allclose(loss, alone, rtol=1e-14)
    assert_array_equal(dlogits[MASK], dalone)
    assert not dlogits[~MASK].any()


@pytest.mark.parametrize("mask", [None, MASK], ids=["full", "masked"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_distribution_of_one_certain_id_is_that_id(mask, reduction):
    soft, dsoft = softmax_cross_entropy(LOGITS, np.eye(V)[TARGETS], mask, reduction)
    hard, dhard = softmax_cross_entropy(LOGITS, TARGETS, mask, reduction)
    assert_allclose(soft, hard, rtol=1e-14)
    assert_allclose(dsoft, dhard, rtol=1e-14)


def test_against_its_own_distribution_the_loss_is_the_entropy_and_the_gradient_zero():
    p = special.softmax(LOGITS, axis=-1)
    loss, dlogits = softmax_cross_entropy(LOGITS, p)
    assert_allclose(loss, special.entr(p).sum(axis=-1).mean(), rtol=1e-13)
    assert_allclose(dlogits, 0, atol=1e-16)


@pytest.mark.parametrize("scale", [1e3, 1e30, 8e307])
def test_huge_logits_are_no_trouble(scale):
    logits = scale * np.array([[1.0, -1.0, 0.5], [-1.0, -1.0, -1.0]])
    loss, dlogits = softmax_cross_entropy(logits, np.array([1, 2]), reduction="sum")
    assert_allclose(loss, 2 * scale + np.log(3), rtol=1e-14)
    assert_allclose(dlogits, [[1, -1, 0], [1 / 3, 1 / 3, -2 / 3]], rtol=1e-14, atol=1e-200)


def test_float32_stays_float32_and_nothing_is_written_to():
    arguments = [LOGITS.astype(np.float32), TARGETS.copy(), MASK.copy()]
    for array in arguments:
        array.flags.writeable = False
    loss, dlogits = softmax_cross_entropy(*arguments)
    assert dlogits.dtype == np.float32
    assert_allclose(loss, softmax_cross_entropy(LOGITS, TARGETS, MASK)[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"logits": TARGETS},
            r"logits must be floating \(..., V\) and targets integers or floating, got int64 and int64",
        ),
        ({"logits": np.float64(1)}, r"logits must be floating \(..., V\)"),
        ({"targets": TARGETS > 0}, r"targets integers or floating, got float64 and bool"),
        ({"targets": TARGETS[:2]}, r"targets must have shape \(4, 3\), got \(2, 3\)"),
        ({"targets": LOGITS[..., :2]}, r"targets must have shape \(4, 3, 5\), got \(4, 3, 2\)"),
        ({"targets": np.full((T, N), V)}, r"targets must hold ids from 0 to 4, got 5 to 5"),
        ({"targets": TARGETS - 1}, r"targets must hold ids from 0 to 4, got -1 to"),
        ({"mask": MASK[0]}, r"mask must have shape \(4, 3\), got \(3,\)"),
        ({"mask": MASK.astype(int)}, r"mask must be boolean, got int64"),
        ({"mask": MASK & False}, r"at least one target that counts, got none"),
        ({"reduction": "max"}, r"reduction must be 'mean' or 'sum', got 'max'"),
        ({"logits": LOGITS * np.nan}, r"logits must be finite, got nan at index \(0, 0\) \(60 such values\)"),
        ({"logits": LOGITS + np.inf}, r"logits must be finite, got inf"),
        ({"targets": LOGITS * np.nan}, r"targets must be finite, got nan"),
    ],
)
def test_malformed_arguments_are_named(arguments, message):
    with pytest.raises(NumpyrnnError, match=message):
        softmax_cross_entropy(**{"logits": LOGITS, "targets": TARGETS} | arguments)


@pytest.mark.parametrize("row", [[0.5, 0.7], [1.5, -0.5], [0.0, 0.0]])
def test_soft_targets_must_be_distributions(row):
    with pytest.raises(NumpyrnnError, match="must be distributions"):
        softmax_cross_entropy(np.zeros((1, 2)), np.array([row]))


# Label smoothing

SOFT = special.softmax(RNG.normal(0, 2, (T, N, V)), axis=-1)


def test_label_smoothing_by_hand():
    # Probabilities 1/2, 1/4, 1/8, 1/8. With share 2/5 target 0 is 7/10, 1/10, 1/10, 1/10.
    loss, dlogits = LabelSmoothing(0.4)(np.log([[0.5, 0.25, 0.125, 0.125]]), np.array([0]))
    assert_allclose(loss, (0.7 * 1 + 0.1 * 2 + 0.1 * 3 + 0.1 * 3) * np.log(2), rtol=1e-14)
    assert_allclose(dlogits, [[-0.2, 0.15, 0.025, 0.025]], rtol=1e-14)


@pytest.mark.parametrize("mask", [None, MASK], ids=["full", "masked"])
@pytest.mark.parametrize("targets", [TARGETS, SOFT], ids=["ids", "soft"])
def test_label_smoothing_is_cross_entropy_against_smoothed_targets(targets, mask):
    wanted = np.eye(V)[targets] if targets is TARGETS else targets
    loss, dlogits = LabelSmoothing(0.1)(LOGITS, targets, mask)
    expected, dexpected = softmax_cross_entropy(LOGITS, 0.9 * wanted + 0.1 / V, mask)
    assert_allclose(loss, expected, rtol=1e-13)
    assert_allclose(dlogits, dexpected, rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("mask", [None, MASK], ids=["full", "masked"])
@pytest.mark.parametrize("targets", [TARGETS, SOFT], ids=["ids", "soft"])
def test_the_gradient_of_label_smoothing_is_that_of_differences(targets, mask):
    loss, h = LabelSmoothing(0.3), 1e-6
    _, dlogits = loss(LOGITS, targets, mask)
    for place in np.ndindex(LOGITS.shape):
        step = np.zeros_like(LOGITS)
        step[place] = h
        difference = loss(LOGITS + step, targets, mask)[0] - loss(LOGITS - step, targets, mask)[0]
        assert_allclose(dlogits[place], difference / (2 * h), rtol=1e-6, atol=1e-9)


def test_without_a_share_nothing_is_smoothed_and_validation_never_smooths():
    for loss in (LabelSmoothing(0), LabelSmoothing(0.5).validation):
        value, dlogits = loss(LOGITS, TARGETS, MASK)
        expected, dexpected = softmax_cross_entropy(LOGITS, TARGETS, MASK)
        assert value == expected
        assert_array_equal(dlogits, dexpected)


def test_smoothing_keeps_float32_and_names_what_is_malformed():
    assert LabelSmoothing(0.1)(LOGITS.astype(np.float32), TARGETS)[1].dtype == np.float32
    with pytest.raises(NumpyrnnError, match="targets must hold ids from 0 to 4, got 5 to 5"):
        LabelSmoothing(0.1)(LOGITS, np.full((T, N), V))
    for share in (-0.1, 1.1, float("nan"), "0.1"):
        with pytest.raises(NumpyrnnError, match="share must be at least 0 and at most 1, got"):
            LabelSmoothing(share)


def test_logits_without_a_class_are_named():
    with pytest.raises(NumpyrnnError, match=r"logits must have at least one class, got shape \(3, 0\)"):
        softmax_cross_entropy(np.zeros((3, 0)), np.zeros(3, int))


def test_label_smoothing_shows_its_share():
    assert repr(LabelSmoothing(0.25)) == "LabelSmoothing(0.25)"


def test_of_a_single_class_the_loss_is_zero():
    loss, dlogits = softmax_cross_entropy(np.array([[3.0], [-2.0]]), np.array([0, 0]))
    assert loss == 0
    assert_array_equal(dlogits, [[0], [0]])
