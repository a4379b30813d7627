"""The strategy or key whose automatic orders a latch stops."""

import pytest

from app.risk.rules.latches import LatchScope, LatchSubject, list_latch_subjects

STRATEGY = LatchSubject(LatchScope.STRATEGY, "momentum", "AAPL")
KEY = LatchSubject(LatchScope.KEY, "algo", "AAPL")


@pytest.mark.parametrize(
    ("strategy", "actor", "holders"),
    [
        ("momentum", None, [STRATEGY, KEY]),
        ("momentum", "slack:T1:U1", [STRATEGY]),  # a strategy runs by itself, whoever started it
        (None, None, [KEY]),
        (None, "slack:T1:U1", []),
    ],
)
def test_strategies_and_keys_without_a_user_are_automated(strategy, actor, holders):
    assert list_latch_subjects("AAPL", strategy, "algo", actor) == holders
