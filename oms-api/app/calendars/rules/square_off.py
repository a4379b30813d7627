"""The time before the close at which intraday positions are closed."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from app.calendars.rules.values import CalendarKey, PhaseName, SquareOffRule, TradingSession


def find_square_off(
    key: CalendarKey, session: TradingSession, rules: Sequence[SquareOffRule]
) -> datetime | None:
    """Return the instant at which intraday positions of a session are closed, None if the market has none.

    The time counts back from the end of continuous trading, so that it also holds on short days. In a session
    shorter than that time it is the open.
    """
    valid = [rule for rule in rules if (rule.market, rule.segment) == key and rule.valid_from <= session.date]
    if not valid:
        return None
    rule = max(valid, key=lambda square_off_rule: square_off_rule.valid_from)
    continuous = [phase.close for phase in session.phases if phase.name is PhaseName.CONTINUOUS]
    return max(max(continuous) - timedelta(minutes=rule.minutes_before_close), session.open)
