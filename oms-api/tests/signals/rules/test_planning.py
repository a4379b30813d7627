"""The portfolio and the size of a signal, by the rules of its strategy."""

from decimal import Decimal

import pytest

from app.errors import Invalid
from app.signals.rules.planning import (
    build_order_key,
    plan_signal,
    rebuild_prepared_signal,
    require_allowed_symbol,
)
from app.signals.rules.values import (
    Signal,
    SignalChannel,
    SignalMode,
    SignalRequest,
    SignalSize,
    SizeKind,
    StrategyRules,
)
from tests.factories import NOON

TEN, CLOSE = SignalSize(SizeKind.QTY, Decimal(10)), SignalSize(SizeKind.CLOSE, None)
RULES = StrategyRules(1, "momentum", "Growth", SignalMode.APPROVE, TEN, ("AAPL",), "alice", NOON)


def build_request(**changes):
    none = dict.fromkeys(("size", "price", "reason", "strategy", "portfolio", "expires_at"))
    fields = {
        "id": "s1",
        "channel": SignalChannel.REDIS,
        "symbol": "AAPL",
        "side": "BUY",
        "request_hash": "hash",
    }
    return SignalRequest(**(none | fields | changes))  # type: ignore[arg-type]  # by name


def test_strategy_supplies_missing_fields_of_a_signal():
    plan = plan_signal(build_request(), "momentum", RULES, None)
    assert plan == ("momentum", SignalMode.APPROVE, TEN, "Growth", ("AAPL",))
    own = plan_signal(build_request(size=CLOSE, portfolio="Income"), "momentum", RULES, "Default")
    assert (own.size, own.portfolio_name) == (CLOSE, "Income")
    assert plan_signal(build_request(size=TEN), None, None, "Default") == (
        None,
        SignalMode.TRADE,
        TEN,
        "Default",
        None,
    )


@pytest.mark.parametrize(
    ("changes", "strategy", "rules", "field"),
    [
        ({}, "unknown", None, "strategy"),
        ({"portfolio": "Growth"}, None, None, "qty"),
        ({"side": None}, "momentum", RULES, "side"),
        ({"size": CLOSE, "side": None}, None, None, "portfolio"),
    ],
)
def test_signal_that_cannot_become_an_order_is_refused_by_its_field(changes, strategy, rules, field):
    with pytest.raises(Invalid) as refusal:
        plan_signal(build_request(**changes), strategy, rules, None)
    assert refusal.value.errors[0].field == field


def test_strategy_trades_its_symbols_only():
    plan = plan_signal(build_request(), "momentum", RULES, None)
    require_allowed_symbol(plan, "AAPL")
    require_allowed_symbol(plan._replace(symbols=None), "MSFT")
    with pytest.raises(Invalid, match="see `errors`"):
        require_allowed_symbol(plan, "MSFT")


def test_stored_signal_keeps_the_plan_that_it_was_stored_with():
    values = ("key", None, "momentum", 7, "AAPL", "BUY", SizeKind.QTY, Decimal(10), None, None)
    signal = Signal(1, 1, "s1", SignalChannel.HOOK, *values, SignalMode.APPROVE, None, "hash", NOON)
    prepared = rebuild_prepared_signal(signal, "Growth")
    assert prepared.plan == ("momentum", SignalMode.APPROVE, TEN, "Growth", None)
    assert (prepared.request.id, prepared.request.channel) == ("s1", SignalChannel.HOOK)


def test_order_keys_of_placing_and_closing_differ():
    assert build_order_key("s1", TEN) == "place:signal:s1"
    assert build_order_key("s1", CLOSE) == "close:signal:s1"


def test_signals_of_stopped_strategies_are_refused():
    with pytest.raises(Invalid) as refusal:
        plan_signal(build_request(), "momentum", RULES._replace(is_stopped=True), None)
    assert [(error.field, error.code) for error in refusal.value.errors] == [("strategy", "not_active")]
