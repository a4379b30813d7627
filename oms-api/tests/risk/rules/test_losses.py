"""Limits of losses: when they are reached, and what they do to the kill switch."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.risk.rules.limits import LimitCode
from app.risk.rules.losses import (
    LOSS_LIMIT_ACTOR,
    Breach,
    LossBaseline,
    SwitchState,
    describe_breach,
    find_breach,
    find_new_switch_state,
    get_day_start,
)
from app.risk.rules.values import TradingState
from app.timestamps import Timestamp

AMOUNTS = st.decimals(min_value=1, max_value=10**6, places=2)
ACTIVE, REDUCING, HALTED = TradingState
TODAY, YESTERDAY = Timestamp("2026-11-20T09:00:00.000000Z"), Timestamp("2026-11-19T09:00:00.000000Z")
MIDNIGHT = Timestamp("2026-11-20T00:00:00.000000Z")
BREACH = Breach(LimitCode.MAX_DAILY_LOSS, Decimal(500), Decimal("512.5"))


def build_baseline(day: str, total: str = "1000", peak: str = "0") -> LossBaseline:
    return LossBaseline(Decimal(day), Decimal(total), Decimal(peak))


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_daily_loss_limit_is_reached_exactly_at_its_value(equity, day, limit):
    breach = find_breach(equity, LossBaseline(day, equity, Decimal(0)), limit, None)
    assert (breach is not None) == (day - equity >= limit)


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_drawdown_is_measured_from_the_highest_pnl(equity, peak, limit):
    breach = find_breach(equity, LossBaseline(equity, Decimal(1000), peak), None, limit)
    pnl = equity - 1000
    assert (breach is not None) == (max(peak, pnl) - pnl >= limit)


def test_profit_or_zero_loss_reaches_no_limit():
    assert find_breach(Decimal(1000), build_baseline("1000"), Decimal(0), Decimal(0)) is None
    assert find_breach(Decimal(1200), build_baseline("1000"), Decimal(1), Decimal(1)) is None
    assert find_breach(Decimal(0), build_baseline("1000"), None, None) is None


def test_loss_reason_names_loss_and_limit():
    assert describe_breach(BREACH) == "The daily loss of 512.5 has reached MAX_DAILY_LOSS, which is 500."
    drawdown = Breach(LimitCode.MAX_DRAWDOWN, Decimal(100), Decimal(200))
    assert describe_breach(drawdown) == "The drawdown of 200 has reached MAX_DRAWDOWN, which is 100."


@pytest.mark.parametrize(
    ("breach", "switch", "was_set_today", "state"),
    [
        (BREACH, None, False, REDUCING),
        (BREACH, SwitchState(ACTIVE, "alice", YESTERDAY), False, REDUCING),
        (BREACH, SwitchState(ACTIVE, "alice", TODAY), True, None),  # a person has decided
        (BREACH, SwitchState(REDUCING, LOSS_LIMIT_ACTOR, TODAY), True, None),
        (BREACH, SwitchState(REDUCING, LOSS_LIMIT_ACTOR, YESTERDAY), False, None),  # it stays
        (BREACH, SwitchState(HALTED, "alice", TODAY), False, None),
        (None, None, False, None),
        (None, SwitchState(REDUCING, LOSS_LIMIT_ACTOR, TODAY), True, None),  # until the next day
        (None, SwitchState(REDUCING, LOSS_LIMIT_ACTOR, YESTERDAY), False, ACTIVE),
        (None, SwitchState(REDUCING, "alice", YESTERDAY), False, None),  # a person's stays
        (None, SwitchState(ACTIVE, LOSS_LIMIT_ACTOR, YESTERDAY), False, None),
    ],
)
def test_automatic_switch_follows_losses_but_never_overrides_a_user(breach, switch, was_set_today, state):
    assert find_new_switch_state(breach, switch, MIDNIGHT, was_set_today=was_set_today) == state


def test_loss_day_begins_at_midnight_utc():
    at = datetime(2026, 11, 20, 23, 59, 59, 999999, tzinfo=UTC)
    assert get_day_start(at) == datetime(2026, 11, 20, tzinfo=UTC)
