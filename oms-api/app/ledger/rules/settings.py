"""The settings of a portfolio as they are stored, shown and audited."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

NO_SCHEDULE = "none"
SESSIONS_OFF = "off"
PAPER = "paper"
REFUSE, HOLD = "refuse", "hold"  # new orders while their broker is down
AUDITED_AS_JSON = ("cost_schedules", "approval", "carry_rates")


class CarryRateKind(StrEnum):
    """The basis of a yearly rate: positive cash, negative cash, or the market value of short positions."""

    INTEREST = "interest"
    MARGIN = "margin"
    BORROW = "borrow"


class PortfolioSettings(NamedTuple):
    """The settings in the form of their columns: see `ledger.models.Portfolio`.

    `participation` and `slippage` are canonical amounts.
    """

    cost_schedule: str = NO_SCHEDULE
    cost_schedules: str | None = None
    calendar: str | None = None
    enforce_sessions: str = SESSIONS_OFF
    approval: str | None = None
    participation: str | None = None
    slippage: str | None = None
    carry_rates: str | None = None
    broker: str = PAPER
    broker_connection: str | None = None
    kind: str = PAPER
    when_broker_down: str = REFUSE


DEFAULT_SETTINGS = PortfolioSettings()


def format_json(value: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None) -> str | None:
    """Return an object or a list as the JSON text that is stored, None if it is None or empty."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode() if value else None


def serialize_audited_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings, by column, as audit entries have them: objects instead of JSON text.

    Raises ValueError where a text is not JSON.
    """
    return {
        name: orjson.loads(value) if name in AUDITED_AS_JSON and value is not None else value
        for name, value in values.items()
    }


def resolve_schedule(schedule: str, schedules: str | None, market: str | None) -> str:
    """Return the cost schedule of a portfolio for a market code, such as IN.

    `schedules`, a JSON object by market, replaces `schedule` if it is set. A market that it does not name is
    charged nothing.
    """
    if schedules is None:
        return schedule
    by_market: dict[str, str] = orjson.loads(schedules)
    return by_market.get(market or "", NO_SCHEDULE)
