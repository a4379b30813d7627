"""Who trades by itself."""

import pytest

from app.risk.rules.latches import Holder, LatchScope, holder_of

STRATEGY = Holder(LatchScope.STRATEGY, "momentum", "AAPL")


@pytest.mark.parametrize(
    ("strategy", "actor", "holder"),
    [
        ("momentum", None, STRATEGY),
        ("momentum", "slack:T1:U1", STRATEGY),  # a strategy runs by itself, whoever started it
        (None, None, Holder(LatchScope.KEY, "algo", "AAPL")),
        (None, "slack:T1:U1", None),
    ],
)
def test_a_strategy_and_a_key_without_a_person_trade_by_themselves(strategy, actor, holder):
    assert holder_of("AAPL", strategy, "algo", actor) == holder
