"""Tables on the screen."""

from math import log

from workbench.tables import loss_table, table


def test_the_first_column_is_aligned_to_the_left_and_the_others_to_the_right():
    assert table((6, 4, 5), [("name", "a", "b"), ("x", 1, 2.5), ("y",)]) == "name     a    b\nx        1  2.5\ny"


def test_losses_are_shown_in_nats_and_bits():
    head, network, uniform = loss_table({"network": log(2), "uniform": 2 * log(2)}, "token").splitlines()
    assert head.split() == ["a", "token", "nats", "bits"]
    assert network.split() == ["network", "0.693", "1.000"]
    assert uniform.split() == ["uniform", "1.386", "2.000"]
