"""Rules of the limits MAX_DAILY_LOSS and MAX_DRAWDOWN of a portfolio."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from app.money import format_grouped_amount
from app.risk.rules.limits import LimitCode
from app.risk.rules.values import TradingState
from app.timestamps import Timestamp

# Who sets a kill switch automatically. No API key can have this name.
LOSS_LIMIT_ACTOR = "~loss limits"
LOSS_CODES = (LimitCode.MAX_DAILY_LOSS, LimitCode.MAX_DRAWDOWN)
NEW_DAY_REASON = "A new day began and no loss limit is exceeded."


class LossBaseline(NamedTuple):
    """What the P&L of a portfolio is measured against, in its currency.

    `day_equity` is the equity at the last close plus the deposits less the withdrawals since. `total_equity`
    is the opening cash plus all deposits less all withdrawals. `peak_pnl` is the highest P&L so far.
    """

    day_equity: Decimal
    total_equity: Decimal
    peak_pnl: Decimal


class Breach(NamedTuple):
    """A loss that has reached its limit."""

    code: LimitCode
    limit: Decimal
    loss: Decimal


class SwitchState(NamedTuple):
    """The kill switch of a portfolio: its state, who set it, and when (canonical text)."""

    state: TradingState
    set_by: str
    set_at: Timestamp


def find_breach(
    equity: Decimal, baseline: LossBaseline, max_daily_loss: Decimal | None, max_drawdown: Decimal | None
) -> Breach | None:
    """Return the first limit that the losses of a portfolio have reached, None if there is none."""
    total = equity - baseline.total_equity
    losses = (baseline.day_equity - equity, max(baseline.peak_pnl, total) - total)
    for code, limit, loss in zip(LOSS_CODES, (max_daily_loss, max_drawdown), losses, strict=True):
        if limit is not None and loss > 0 and loss >= limit:
            return Breach(code, limit, loss)
    return None


def describe_breach(breach: Breach) -> str:
    """Return the reason of the switch, for people."""
    limit_name = "daily loss" if breach.code is LimitCode.MAX_DAILY_LOSS else "drawdown"
    loss, limit = format_grouped_amount(breach.loss), format_grouped_amount(breach.limit)
    return f"The {limit_name} of {loss} has reached {breach.code}, which is {limit}."


def find_new_switch_state(
    breach: Breach | None, switch: SwitchState | None, day_start: str, *, was_set_today: bool
) -> TradingState | None:
    """Return the state that a portfolio's kill switch must change to, None if it stays.

    A breach sets REDUCING once a day, so that a person who sets the switch to ACTIVE is not overridden. What
    was set automatically ends on the next day, unless a limit is still exceeded.
    """
    is_active = switch is None or switch.state is TradingState.ACTIVE
    if breach is not None:
        return TradingState.REDUCING if is_active and not was_set_today else None
    if switch is None or switch.state is not TradingState.REDUCING or switch.set_by != LOSS_LIMIT_ACTOR:
        return None
    return TradingState.ACTIVE if switch.set_at < day_start else None


def get_day_start(at: datetime) -> datetime:
    """Return the start of the P&L day at an instant: 00:00 UTC."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0)
