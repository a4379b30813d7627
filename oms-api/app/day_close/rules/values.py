"""A day that was signed off: its figures by portfolio, its open breaks, and a digest of both."""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson


class DayClose(NamedTuple):
    """A day that was signed off. `date` is YYYY-MM-DD, `signed_at` canonical text.

    `signed_by` is the person, or else the key, and `source` the name of the key. `rates` is JSON text: the
    rates to the tenant's `currency`, `[{"currency", "rate", "age_seconds"}]`. `digest` covers all rows of the
    day.
    """

    tenant_id: int
    date: str
    signed_by: str
    source: str
    signed_at: str
    note: str | None
    currency: str
    rates: str
    digest: str


class DayFigures(NamedTuple):
    """A portfolio at the close of a day, and its P&L since the close before.

    Amounts and instants are canonical text, in the portfolio's `currency`. `started_at` is None at the
    opening. `realized_pnl` is before charges. `price` to `adjustments` are the parts of `day_pnl`, as
    `reports.rules.explanation` defines them; `exchange` is due to exchange rates.
    """

    tenant_id: int
    date: str
    portfolio_id: int
    portfolio_name: str
    currency: str
    started_at: str | None
    ended_at: str
    trades: int
    cash: str
    market_value: str
    gross_exposure: str
    equity: str
    flows: str
    realized_pnl: str
    price: str
    exchange: str
    interest: str
    borrow: str
    dividends: str
    fees: str
    adjustments: str
    day_pnl: str


class OpenBreak(NamedTuple):
    """A break that was open in a portfolio when the day was signed off.

    `subject` is the order, symbol or row that it is about, empty for the portfolio.
    """

    tenant_id: int
    date: str
    number: int
    portfolio_id: int
    portfolio_name: str
    kind: str
    subject: str
    detail: str


class SignedDay(NamedTuple):
    """A day close with its rows."""

    day: DayClose
    figures: Sequence[DayFigures]
    breaks: Sequence[OpenBreak]


def compute_digest(day: DayClose, figures: Sequence[DayFigures], breaks: Sequence[OpenBreak]) -> str:
    """Return the SHA-256 of the JSON of all fields, except the day's own digest."""
    ordered = (*sorted(figures, key=_get_portfolio_id), *sorted(breaks, key=_get_number))
    content = [day[:-1], *map(tuple, ordered)]
    return hashlib.sha256(orjson.dumps(content)).hexdigest()


def sign_day(day: DayClose, figures: Sequence[DayFigures], breaks: Sequence[OpenBreak]) -> SignedDay:
    """Return the day with its digest."""
    return SignedDay(day._replace(digest=compute_digest(day, figures, breaks)), figures, breaks)


def build_closed_values(signed: SignedDay) -> dict[str, Any]:
    """Return the values of a day close for the audit log and the event."""
    return {
        "date": signed.day.date,
        "portfolios": len(signed.figures),
        "breaks": len(signed.breaks),
        "digest": signed.day.digest,
    }


def build_closed_payload(signed: SignedDay) -> str:
    """Return the payload of day.closed as JSON."""
    return orjson.dumps(build_closed_values(signed) | {"signed_by": signed.day.signed_by}).decode()


def _get_portfolio_id(figures: DayFigures) -> int:
    return figures.portfolio_id


def _get_number(open_break: OpenBreak) -> int:
    return open_break.number
