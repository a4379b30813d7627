"""The response body of a day close."""

from collections.abc import Iterable, Set
from decimal import Decimal
from typing import Any

import orjson

from app.day_close.rules.values import DayFigures, OpenBreak, SignedDay
from app.money import ZERO, format_money, multiply, shorten_amount

_AMOUNTS = (
    "cash", "market_value", "gross_exposure", "equity", "flows", "realized_pnl",
    "price", "interest", "borrow", "dividends", "fees", "adjustments", "day_pnl",
)  # fmt: skip


def serialize_day(signed: SignedDay, visible: Set[int] | None = None) -> dict[str, Any]:
    """Return a day close as `schemas.DayCloseOut` describes it.

    `visible` are the ids of the portfolios that the caller may see, None for all. Without all of them there
    is not a total.
    """
    day = signed.day
    rates, figures = orjson.loads(day.rates), sorted(signed.figures, key=_get_name)
    return {
        "date": day.date,
        "signed_by": day.signed_by,
        "signed_at": day.signed_at,
        "note": day.note,
        "digest": day.digest,
        "figures": [
            serialize_figures(day_figures)
            for day_figures in figures
            if _is_visible(visible, day_figures.portfolio_id)
        ],
        "breaks": [
            serialize_break(open_break)
            for open_break in signed.breaks
            if _is_visible(visible, open_break.portfolio_id)
        ],
        "currency": day.currency,
        "day_pnl": None if visible is not None else _convert_total(signed.figures, day.currency, rates),
        "rates": [
            {
                "currency": rate["currency"],
                "rate": shorten_amount(rate["rate"]),
                "age_seconds": rate["age_seconds"],
            }
            for rate in rates
        ],
    }


def serialize_figures(figures: DayFigures) -> dict[str, Any]:
    """Return the figures of a portfolio."""
    carry = Decimal(figures.interest) + Decimal(figures.borrow) + Decimal(figures.dividends)
    return {
        "portfolio_name": figures.portfolio_name,
        "base_currency": figures.currency,
        "from": figures.started_at,
        "to": figures.ended_at,
        "trades": figures.trades,
        **{name: shorten_amount(getattr(figures, name)) for name in _AMOUNTS},
        "currency": shorten_amount(figures.exchange),
        "carry": format_money(carry),
    }


def serialize_break(open_break: OpenBreak) -> dict[str, Any]:
    """Return an open break as the response has it."""
    return {
        "portfolio_name": open_break.portfolio_name,
        "kind": open_break.kind,
        "subject": open_break.subject or None,
        "detail": open_break.detail,
    }


def _convert_total(
    figures: Iterable[DayFigures], currency: str, rates: Iterable[dict[str, str]]
) -> str | None:
    """Return the day P&L of all portfolios in the tenant's currency, None if a rate is missing."""
    rates_by_currency = {currency: Decimal(1)} | {rate["currency"]: Decimal(rate["rate"]) for rate in rates}
    total = ZERO
    for day_figures in figures:
        if day_figures.currency not in rates_by_currency:
            return None
        total += multiply(Decimal(day_figures.day_pnl), rates_by_currency[day_figures.currency])
    return format_money(total)


def _get_name(figures: DayFigures) -> str:
    return figures.portfolio_name


def _is_visible(visible: Set[int] | None, portfolio_id: int) -> bool:
    return visible is None or portfolio_id in visible
