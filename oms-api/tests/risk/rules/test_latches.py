"""Which strategy or key holds an automatic order."""

import pytest

from app.risk.rules.latches import Holder, LatchScope, holders_of

STRATEGY = Holder(LatchScope.STRATEGY, "momentum", "AAPL")
KEY = Holder(LatchScope.KEY, "algo", "AAPL")


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
    assert holders_of("AAPL", strategy, "algo", actor) == holders
