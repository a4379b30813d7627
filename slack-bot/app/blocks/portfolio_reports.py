"""Build the replies that show portfolios, positions and P&L."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from app.blocks.amounts import (
    NOT_KNOWN,
    build_gain_cell,
    build_money_cell,
    build_price_cell,
    build_quantity_cell,
    format_count,
    format_rounded,
    format_signed,
)
from app.blocks.charts import build_allocation_chart, build_equity_chart, describe_equities
from app.blocks.replies import Reply, build_actions, build_position_select, build_sentence_reply
from app.blocks.tables import Amount, Cell, Table
from app.blocks.text import build_section, escape, format_literal
from app.forms.numbers import format_grouped, format_money
from app.forms.portfolio_values import EquityPoint, PortfolioValue, Position, ProfitSummary

NO_POSITIONS = "There are no open positions. A trade opens one: `/trade buy 100 AAPL @ 175 in Growth`."
NO_PORTFOLIOS = (
    "There are no portfolios yet. The first trade opens one: `/trade buy 100 AAPL @ 175 in Growth`."
)


class Page(NamedTuple):
    """Rows that were read. `is_cut`: more exist."""

    rows: Sequence[Position]
    is_cut: bool = False


def build_portfolio_reply(value: PortfolioValue, page: Page, equities: Sequence[EquityPoint] = ()) -> Reply:
    """Return a portfolio at a glance, with its positions and its equity through time."""
    lines = [*describe_portfolio(value), *describe_equities(equities)]
    charts = (*build_equity_chart(equities), *build_allocation_chart(page.rows))
    count = len(page.rows)
    text = "\n".join([*lines, f"{format_count(count, 'open position', is_cut=page.is_cut)}."])
    if not page.rows:
        return Reply(text, (build_section("\n".join([*lines, NO_POSITIONS])),), charts=charts)
    table = build_position_table(f"Positions of {value.portfolio_name}", page, with_portfolio=False)
    foot = (build_actions(build_position_select(page.rows, has_portfolios=False)),)
    return Reply(text, (build_section("\n".join(lines)),), (table,), charts, foot)


def describe_portfolio(value: PortfolioValue) -> list[str]:
    """Return the equity, cash, P&L and exposure of a portfolio, as lines in mrkdwn."""
    currency = "" if value.equity is None else f" {escape(value.base_currency)}"
    return [
        f"*{format_literal(value.portfolio_name)}* · equity {_format_rounded(value.equity)}{currency}",
        f"P&amp;L today {_format_signed(value.day_pnl)} · total {_format_signed(value.total_pnl)} "
        f"(realized {_format_signed(value.net_realized_pnl)}, "
        f"unrealized {_format_signed(value.unrealized_pnl)})",
        f"Cash {_format_rounded(value.cash)} · buying power {_format_rounded(value.buying_power)} · "
        f"exposure {_format_rounded(value.gross_exposure)} gross, {_format_rounded(value.net_exposure)} net",
    ]


def build_portfolios_reply(values: Sequence[PortfolioValue], *, is_cut: bool) -> Reply:
    """Return all portfolios, a row for each."""
    if not values:
        return build_sentence_reply(NO_PORTFOLIOS)
    lines = [
        f"{format_literal(portfolio.portfolio_name)}: "
        f"equity {_format_rounded(portfolio.equity)} {escape(portfolio.base_currency)}, "
        f"today {_format_signed(portfolio.day_pnl)}"
        for portfolio in values[:5]
    ]
    return Reply("\n".join(lines), tables=(build_portfolio_table(values, is_cut=is_cut),))


def build_portfolio_table(values: Sequence[PortfolioValue], *, is_cut: bool) -> Table:
    """Return the table of portfolios."""
    columns = ("Portfolio", "Currency", "Equity", "Cash", "P&L today", "Total P&L", "Gross", "Net")
    rows = [
        (
            portfolio.portfolio_name,
            portfolio.base_currency,
            build_money_cell(portfolio.equity),
            build_money_cell(portfolio.cash),
            build_gain_cell(portfolio.day_pnl),
            build_gain_cell(portfolio.total_pnl),
            build_money_cell(portfolio.gross_exposure),
            build_money_cell(portfolio.net_exposure),
        )
        for portfolio in values
    ]
    return Table("Portfolios", columns, rows, is_cut)


def build_positions_reply(page: Page) -> Reply:
    """Return positions, a row for each."""
    if not page.rows:
        return build_sentence_reply(NO_POSITIONS)
    lines = [
        f"{escape(position.symbol)} {format_grouped(position.quantity)} "
        f"in {format_literal(position.portfolio_name)}: "
        f"unrealized {_format_signed(position.unrealized_pnl)} {escape(position.base_currency)}"
        for position in page.rows[:5]
    ]
    more = [f"and {len(page.rows) - 5} more"] if len(page.rows) > 5 else []
    table = build_position_table("Positions", page, with_portfolio=True)
    return Reply(
        "\n".join([*lines, *more]), tables=(table,), foot=(build_actions(build_position_select(page.rows)),)
    )


def build_position_table(caption: str, page: Page, *, with_portfolio: bool) -> Table:
    """Return the table of positions."""
    names = ("Symbol", "Portfolio") if with_portfolio else ("Symbol",)
    columns = (*names, "Quantity", "Average cost", "Mark", "Value", "Unrealized", "Stop", "Target")
    rows: list[list[Cell]] = []
    for position in page.rows:
        name = f"{position.symbol} {position.product}" if position.product else position.symbol
        mark = Amount(
            position.mark, format_money(position.mark) + (" stale" if position.mark_is_stale else "")
        )
        row: list[Cell] = [name, position.portfolio_name] if with_portfolio else [name]
        row += [
            build_quantity_cell(position.quantity),
            build_money_cell(position.avg_cost),
            mark,
            build_money_cell(position.market_value),
        ]
        row += [
            build_gain_cell(position.unrealized_pnl),
            build_price_cell(position.stop_loss),
            build_price_cell(position.take_profit),
        ]
        rows.append(row)
    return Table(caption, columns, rows, page.is_cut)


def build_profit_reply(today: Sequence[ProfitSummary], total: Sequence[ProfitSummary]) -> Reply:
    """Return the P&L of today and in all, a row for each portfolio."""
    if not total and not today:
        return build_sentence_reply(NO_PORTFOLIOS)
    by_key = {summary.key: summary for summary in today}
    rows = []
    lines = []
    for profit_summary in total or today:
        now = by_key.get(profit_summary.key)
        realized = now.realized_pnl - now.charges if now else Decimal(0)
        name = profit_summary.key or "–"
        row = (
            name,
            profit_summary.currency,
            build_gain_cell(realized),
            build_gain_cell(profit_summary.unrealized_pnl),
        )
        rows.append((*row, build_money_cell(profit_summary.charges), build_gain_cell(profit_summary.net_pnl)))
        lines.append(
            f"{format_literal(name)}: realized today {_format_signed(realized)}, "
            f"in all {_format_signed(profit_summary.net_pnl)} {escape(profit_summary.currency)}"
        )
    columns = ("Portfolio", "Currency", "Realized today", "Unrealized", "Charges", "Net in all")
    more = [f"and {len(lines) - 5} more"] if len(lines) > 5 else []
    return Reply("\n".join([*lines[:5], *more]), tables=(Table("P&L after charges", columns, rows),))


def _format_rounded(value: Decimal | None) -> str:
    return NOT_KNOWN if value is None else format_rounded(value)


def _format_signed(value: Decimal | None) -> str:
    return NOT_KNOWN if value is None else format_signed(value)
