"""Build the replies that show risk, kill switches and quotes."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from app.blocks.amounts import (
    build_money_cell,
    build_quantity_cell,
    format_figure,
    format_rounded,
    format_signed,
    format_words,
)
from app.blocks.messages import format_local_time
from app.blocks.order_reports import format_person
from app.blocks.replies import Reply, build_sentence_reply
from app.blocks.tables import Table
from app.blocks.text import build_section, escape, format_literal, truncate
from app.forms.day_change import DayChange, format_day_change
from app.forms.numbers import format_money
from app.forms.portfolio_values import ExposureSummary, KillSwitch, QuoteDetail, RiskLimit
from app.forms.price import format_duration

MAX_LISTED_LIMITS = 30
MAX_REASON_CHARACTERS = 200


class QuoteLine(NamedTuple):
    """A symbol with its quote and how it changed today, None if not known."""

    symbol: str
    quote: QuoteDetail | None
    change: DayChange | None = None


class RiskReport(NamedTuple):
    """Exposures with the total at the end, in `currency`, kill switches and limits."""

    currency: str
    exposures: Sequence[ExposureSummary]
    switches: Sequence[KillSwitch]
    limits: Sequence[RiskLimit]


def build_risk_reply(risk_report: RiskReport) -> Reply:
    """Return kill switches, exposures and limits."""
    lines = describe_switches(risk_report.switches) or ["Trading is active: no kill switch is set."]
    total = risk_report.exposures[-1]
    summary = (
        f"Exposure {format_rounded(total.gross_exposure)} gross, "
        f"{format_signed(total.net_exposure)} net {escape(risk_report.currency)}"
    )
    columns = ("Portfolio", "Positions", "Long", "Short", "Gross", "Net")
    rows = [
        (
            exposure.key or "Total",
            build_quantity_cell(Decimal(exposure.positions)),
            build_money_cell(exposure.long_value),
            build_money_cell(exposure.short_value),
            build_money_cell(exposure.gross_exposure),
            build_money_cell(exposure.net_exposure),
        )
        for exposure in risk_report.exposures
    ]
    limits = [
        (_describe_limit(limit), format_figure(limit.value or "none"))
        for limit in risk_report.limits
        if limit.in_force
    ]
    tables = [Table(f"Exposure in {risk_report.currency}", columns, rows)]
    if limits:
        is_cut = len(limits) > MAX_LISTED_LIMITS
        tables.append(Table("Limits", ("Limit", "Value"), limits[:MAX_LISTED_LIMITS], is_cut))
    text = "\n".join([*lines, summary])
    return Reply(text, (build_section(text),), tuple(tables))


def _describe_limit(limit: RiskLimit) -> str:
    return f"{format_words(limit.code)}: {limit.scope} {limit.name or ''}".strip()


def describe_switches(switches: Sequence[KillSwitch]) -> list[str]:
    """Return a line in mrkdwn for each kill switch that restricts trading."""
    return [describe_switch(switch) for switch in switches if not switch.is_active]


def describe_switch(switch: KillSwitch) -> str:
    """Return the state of a kill switch in mrkdwn."""
    scope = (
        "The whole desk"
        if switch.scope == "tenant"
        else f"{switch.scope} {format_literal(switch.name or '')}"
    )
    since = f", {format_local_time(switch.set_at)}" if switch.set_at else ""
    reason = f": {format_literal(truncate(switch.reason, MAX_REASON_CHARACTERS))}" if switch.reason else ""
    return f"*{scope} is {escape(switch.state)}* by {format_person(switch.set_by)}{since}{reason}"


def build_quotes_reply(quotes: Sequence[QuoteLine]) -> Reply:
    """Return quotes, a line for each symbol."""
    return build_sentence_reply("\n".join(map(_describe_quote, quotes)))


def _describe_quote(line: QuoteLine) -> str:
    quote = line.quote
    if quote is None:
        return f"*{escape(line.symbol)}* has no quote."
    sides = [("bid", quote.bid), ("ask", quote.ask), ("last", quote.last)]
    prices = " · ".join(f"{name} {format_money(value)}" for name, value in sides if value is not None)
    age = format_duration(quote.age_seconds)
    parts = [prices or "no price", format_day_change(line.change), f"{age} old, {escape(quote.source)}"]
    return f"*{escape(quote.symbol)}* {' · '.join(fact for fact in parts if fact)}"
