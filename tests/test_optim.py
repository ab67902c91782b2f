"""Optimisers checked by hand, clipping, refusal of bad gradients, and resuming from another optimiser's state."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from numpyrnn import NumpyrnnError
from numpyrnn.optim import SGD, Adam, RMSprop, clip_by_norm, clip_by_value

EVERY = {
    "SGD": lambda: SGD(0.1),
    "SGD with momentum": lambda: SGD(0.1, momentum=0.9, decay=0.1),
    "RMSprop": lambda: RMSprop(0.1, decay=0.05),
    "Adam": lambda: Adam(0.1, decay=0.01, weight_decay=0.1),
}
every = pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)

# (optimiser, gradients, parameter after each; it starts at 1)
BY_HAND = {
    # 1 - 0.1 4 = 0.6;  - 0.1 (-2) = 0.8
    "SGD": (SGD(0.1), [4, -2], [0.6, 0.8]),
    # v = 4, 1/2 4 - 2 = 0, 1/2 0 + 1 = 1;  1 - 0.1 v = 0.6, 0.6, 0.5
    "SGD, momentum 1/2": (SGD(0.1, momentum=0.5), [4, -2, 1], [0.6, 0.6, 0.5]),
    # rate 0.1 / (1 + t) = 0.1, 0.05, 0.0333...;  1 - 0.3, - 0.15, - 0.1
    "SGD, decay 1": (SGD(0.1, decay=1), [3, 3, 3], [0.7, 0.55, 0.45]),
    # rates 0.1, 0.05;  v = 4, 4;  1 - 0.4, - 0.2: momentum gathers gradients, not steps
    "SGD, momentum 1/2, decay 1": (SGD(0.1, momentum=0.5, decay=1), [4, 2], [0.6, 0.4]),
    # s = 1/4 16 = 4, 3/4 4 + 1/4 4 = 4, 4;  roots 2;  1 - 0.1 4/2 = 0.8, - 0.1 2/2 = 0.7, + 0.1 = 0.8
    "RMSprop, rho 3/4": (RMSprop(0.1, rho=0.75, epsilon=0), [4, 2, -2], [0.8, 0.7, 0.8]),
    # likewise, over root + 2 = 4: half the steps
    "RMSprop, epsilon 2": (RMSprop(0.1, rho=0.75, epsilon=2), [4, 2, -2], [0.9, 0.85, 0.9]),
    # rates 0.1, 0.05
    "RMSprop, decay 1": (RMSprop(0.1, rho=0.75, epsilon=0, decay=1), [4, 2], [0.8, 0.75]),
    # m = 2, 2, 0;  v = 4, 4, 4;  roots 2
    # t = 1: 0.1 sqrt(1 - 3/4) / (1 - 1/2) = 0.1, times 2/2: 0.9
    # t = 2: 0.1 sqrt(1 - 9/16) / (1 - 1/4) = 0.1 0.6614378 / 0.75 = 0.0881917: 0.8118083
    # t = 3: m = 0, no step
    "Adam": (Adam(0.1, 0.5, 0.75, epsilon=0), [4, 2, -2], [0.9, 0.8118083, 0.8118083]),
    # over root + 2 = 4: half the steps
    "Adam, epsilon 2": (Adam(0.1, 0.5, 0.75, epsilon=2), [4, 2], [0.95, 0.90590415]),
    # second step 0.0881917 / 2
    "Adam, decay 1": (Adam(0.1, 0.5, 0.75, epsilon=0, decay=1), [4, 2], [0.9, 0.85590415]),
    # before each step times 1 - 0.1 1/2 = 0.95: 0.95 - 0.1 = 0.85, 0.8075 - 0.0881917 = 0.7193083
    "Adam, weight decay 1/2": (Adam(0.1, 0.5, 0.75, epsilon=0, weight_decay=0.5), [4, 2], [0.85, 0.7193083]),
}


@pytest.mark.parametrize(("optimizer", "gradients", "expected"), BY_HAND.values(), ids=BY_HAND)
def test_steps_worked_by_hand(optimizer, gradients, expected):
    params, steps = np.array([1.0]), []
    for gradient in gradients:
        optimizer.update(params, np.array([float(gradient)]))
        steps.append(params[0])
    assert_allclose(steps, expected, rtol=1e-7)
    assert optimizer.t == len(gradients)


@every
def test_elements_do_not_mix_and_the_gradient_is_not_written_to(make):
    gradients = np.random.default_rng(0).standard_normal((3, 4))
    gradients.flags.writeable = False
    together, apart, whole, parts = np.arange(4.0), np.arange(4.0), make(), [make() for _ in range(4)]
    for gradient in gradients:
        whole.update(together, gradient)
        for i, part in enumerate(parts):
            part.update(apart[i : i + 1], gradient[i : i + 1])
    assert_allclose(together, apart, rtol=1e-14)


@every
def test_every_optimizer_goes_down_a_bowl(make):
    optimizer, params = make(), np.array([1.0, -2.0])
    for _ in range(200):
        optimizer.update(params, 2 * params)
    assert (np.abs(params) < 0.2).all()


@every
def test_float32_stays_float32(make):
    optimizer, params = make(), np.ones(3, np.float32)
    optimizer.update(params, np.ones(3, np.float32))
    assert params.dtype == np.float32
    assert all(array.dtype == np.float32 for array in optimizer.state.values())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@every
def test_a_gradient_that_is_not_finite_is_refused_and_nothing_changed(make, bad):
    optimizer, params = make(), np.ones(3)
    optimizer.update(params, np.ones(3))
    before, state = params.copy(), {name: array.copy() for name, array in optimizer.state.items()}
    with pytest.raises(NumpyrnnError, match=rf"grad must be finite, got {bad} at index \(1,\) \(1 such values\)"):
        optimizer.update(params, np.array([1, bad, 1]))
    assert_array_equal(params, before)
    assert optimizer.t == 1
    for name, array in optimizer.state.items():
        assert_array_equal(array, state[name])


@every
def test_load_goes_on_exactly_where_another_was(make):
    gradients = np.random.default_rng(1).standard_normal((6, 4))
    first, params = make(), np.ones(4)
    for gradient in gradients[:3]:
        first.update(params, gradient)
    second, twin = make(), params.copy()
    second.load(first.t, first.state)
    for gradient in gradients[3:]:  # in turn, so that sharing state would show
        first.update(params, gradient)
        second.update(twin, gradient)
        assert_array_equal(twin, params)
    assert second.t == first.t == 6


def test_load_takes_the_state_of_its_own_kind_only():
    adam = Adam()
    adam.update(np.ones(2), np.ones(2))
    with pytest.raises(NumpyrnnError, match=r"RMSprop needs the state \('s',\), got \('m', 'v'\)"):
        RMSprop().load(1, adam.state)
    with pytest.raises(NumpyrnnError, match=r"SGD needs the state \(\), got \('m', 'v'\)"):
        SGD().load(1, adam.state)


def test_the_learning_rate_may_change_between_updates():
    optimizer, params = SGD(1.0), np.zeros(1)
    optimizer.update(params, np.ones(1))
    optimizer.learning_rate = 0.5
    optimizer.update(params, np.ones(1))
    assert params[0] == -1.5


def test_a_factor_multiplies_the_rate_of_one_update():
    optimizer, params = SGD(1.0, decay=1), np.zeros(1)
    optimizer.update(params, np.ones(1), 0.25)
    optimizer.update(params, np.ones(1))
    assert params[0] == -0.25 - 0.5
    assert optimizer.learning_rate == 1


def test_settings_are_all_single_values_also_of_a_class_of_ones_own():
    class Own(SGD):
        def __init__(self, **settings):
            super().__init__(0.5)
            self.bold, self.kind, self.warm, self.table, self._seen = True, "a", None, np.ones(3), 7
            self.power = np.float32(0.5)

    own = {"bold": True, "kind": "a", "warm": None, "power": 0.5}
    optimizer = Own()
    optimizer.update(np.ones(2), np.ones(2))
    assert optimizer.settings == {"learning_rate": 0.5, "decay": 0.0, "momentum": 0.0, **own}
    assert json.loads(json.dumps(optimizer.settings)) == optimizer.settings
    assert Adam().settings.keys() == {"learning_rate", "decay", "beta1", "beta2", "epsilon", "weight_decay"}


def test_a_buffer_of_another_size_is_refused():
    optimizer = Adam()
    optimizer.update(np.ones(3), np.ones(3))
    with pytest.raises(
        NumpyrnnError, match=r"params, as in the first update \(m\), must have shape \(3,\), got \(4,\)"
    ):
        optimizer.update(np.ones(4), np.ones(4))
    with pytest.raises(NumpyrnnError, match=r"grad must have shape \(3,\), got \(4,\)"):
        optimizer.update(np.ones(3), np.ones(4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SGD(0), "learning_rate must be above 0, got 0"),
        (lambda: SGD(-1.0), "learning_rate must be above 0, got -1.0"),
        (lambda: SGD(float("nan")), "learning_rate must be above 0, got nan"),
        (lambda: SGD("0.1"), "learning_rate must be above 0, got '0.1'"),
        (lambda: SGD(decay=-1), "decay must be at least 0, got -1"),
        (lambda: SGD(momentum=1.5), "momentum must be at least 0 and at most 1, got 1.5"),
        (lambda: RMSprop(rho=-0.1), "rho must be at least 0 and at most 1, got -0.1"),
        (lambda: RMSprop(epsilon=-1), "epsilon must be at least 0, got -1"),
        (lambda: Adam(beta1=1), "beta1 must be at least 0 and below 1, got 1"),
        (lambda: Adam(beta2=-1), "beta2 must be at least 0 and below 1, got -1"),
        (lambda: Adam(weight_decay=-1), "weight_decay must be at least 0, got -1"),
        (lambda: Adam(epsilon=-0.5), "epsilon must be at least 0, got -0.5"),
        (lambda: clip_by_value(np.ones(2), 0), "limit must be above 0, got 0"),
        (lambda: clip_by_norm(np.ones(2), -1), "limit must be above 0, got -1"),
    ],
)
def test_settings_out_of_range_are_named(make, message):
    with pytest.raises(NumpyrnnError, match=message):
        make()


def test_clipping_by_value():
    grad = np.array([[-7.0, -5.0, 0.5], [5.0, 5.1, 1e300]])
    clip_by_value(grad, 5)
    assert_array_equal(grad, [[-5, -5, 0.5], [5, 5, 5]])


@pytest.mark.parametrize(("limit", "expected"), [(1, [0.6, 0.8]), (2.5, [1.5, 2.0]), (5, [3, 4]), (100, [3, 4])])
def test_clipping_by_norm(limit, expected):
    grad = np.array([3.0, 4.0])
    assert clip_by_norm(grad, limit) == 5  # the norm before
    assert_allclose(grad, expected, rtol=1e-15)


def test_clipping_by_norm_takes_any_shape_and_zeros():
    grad = np.array([[3.0, 0.0], [0.0, 4.0]])
    clip_by_norm(grad, 1)
    assert_allclose(grad, [[0.6, 0], [0, 0.8]], rtol=1e-15)
    assert clip_by_norm(np.zeros(3), 1) == 0


def test_a_number_of_updates_below_zero_is_refused():
    with pytest.raises(NumpyrnnError, match="t must be a whole number of at least 0, got -1"):
        Adam().load(-1, {})
