"""Build the preview of an order: its price, charges, cash, position and limits."""

from collections.abc import Iterable

from app.blocks.messages import format_local_time
from app.blocks.orders.form import STOP_CODES, format_denial
from app.blocks.text import escape
from app.forms.numbers import format_grouped, format_money, format_rounded_money
from app.forms.orders.order import Check, PortfolioCash, Preview

MAX_LIMITS = 4


def build_preview(preview: Preview, cash: PortfolioCash | None) -> str:
    """Return the preview in mrkdwn. `cash` is None if the person sees no such portfolio."""
    parts = [_format_price(preview), _format_effects(preview, cash), format_limits(preview.checks)]
    if preview.opens_at:
        parts.append(f"The market is closed. It opens {format_local_time(preview.opens_at)}.")
    if preview.denial:
        parts.append(f"{format_denial(preview.denial)}")
    elif preview.needs_approval:
        parts.append("Needs the approval of another person.")
    return "\n".join(part for part in parts if part)


def format_limits(checks: Iterable[Check]) -> str:
    """Return the largest quantities that the tightest checks pass. Empty if nothing is limited."""
    limited = sorted(
        (
            (check.largest_passing, check)
            for check in checks
            if check.largest_passing is not None and (check.largest_passing or check.code not in STOP_CODES)
        ),
        key=lambda limit: limit[0],
    )
    texts = [
        f"{format_grouped(largest)} ({escape((check.code or check.name).replace('_', ' ').lower())})"
        for largest, check in limited[:MAX_LIMITS]
    ]
    return f"Largest quantity within limits: {', '.join(texts)}" if texts else ""


def _format_price(preview: Preview) -> str:
    what = f"{format_grouped(preview.quantity)} {escape(preview.symbol)}"
    if preview.price is None or preview.value is None:
        return f"*Preview*: {what}; there is no price yet"
    charges = "" if preview.charges is None else f" · charges {format_rounded_money(preview.charges)}"
    return (
        f"*Preview*: {what} at about {format_money(preview.price)}"
        f" = {format_rounded_money(preview.value)}{charges}"
    )


def _format_effects(preview: Preview, cash: PortfolioCash | None) -> str:
    currency = f" {escape(cash.currency)}" if cash else ""
    parts = [f"Resulting position {format_grouped(preview.position_after)}"]
    if cash:
        parts.append(f"cash {format_rounded_money(cash.cash)}{currency}")
    if preview.cash_after is not None:
        parts.append(f"resulting cash {format_rounded_money(preview.cash_after)}{currency}")
    if cash and cash.buying_power is not None:
        parts.append(f"buying power {format_rounded_money(cash.buying_power)}{currency}")
    return " · ".join(parts)
