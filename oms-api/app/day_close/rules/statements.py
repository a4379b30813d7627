"""The daily statement of a portfolio: headings and tables of text, and their form as HTML."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from app.day_close.rules.values import DayClose, DayFigures, OpenBreak
from app.money import shorten_amount

StatementCell = str | None
_FIGURES = (
    ("Equity", "equity"),
    ("Cash", "cash"),
    ("Market value", "market_value"),
    ("Gross exposure", "gross_exposure"),
    ("Deposits less withdrawals", "flows"),
    ("Realized P&L before charges", "realized_pnl"),
)
_PARTS = (
    ("Prices", "price"),
    ("Exchange rates", "exchange"),
    ("Interest", "interest"),
    ("Borrow fees", "borrow"),
    ("Dividends", "dividends"),
    ("Fees", "fees"),
    ("Adjustments", "adjustments"),
    ("Day P&L", "day_pnl"),
)
_STYLE = (
    "body{font:14px system-ui,sans-serif;margin:2em;color:#1d1c1d}"
    "table{border-collapse:collapse;margin:0 0 2em}"
    "th,td{padding:.3em .8em;border-bottom:1px solid #ddd;text-align:left}"
    "td{font-variant-numeric:tabular-nums}"
    "caption{font-weight:600;text-align:left;padding:.3em 0}"
)


class StatementTable(NamedTuple):
    """A table with a caption. None is an empty cell."""

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[StatementCell]]


class DayStatement(NamedTuple):
    """A title, who signed it off, and the tables."""

    title: str
    signature: str
    tables: Sequence[StatementTable]


class StatementRows(NamedTuple):
    """The rows of a day as text: trades, movements of cash, and the positions at the close."""

    trades: Sequence[Sequence[StatementCell]]
    movements: Sequence[Sequence[StatementCell]]
    positions: Sequence[Sequence[StatementCell]]


TRADE_COLUMNS = (
    "Time", "Trade", "Kind", "Side", "Symbol", "Quantity", "Price", "Currency", "Cash", "Charges",
    "Realized P&L",
)  # fmt: skip
MOVEMENT_COLUMNS = ("Time", "Kind", "Amount", "Balance", "Symbol", "Reason")
POSITION_COLUMNS = ("Symbol", "Product", "Quantity", "Cost", "Currency", "Cost there")


def build_statement(
    day: DayClose, figures: DayFigures, breaks: Iterable[OpenBreak], rows: StatementRows
) -> DayStatement:
    """Return the statement of a portfolio. Its figures are those that were signed off."""
    amounts = ("", figures.currency)
    note = "" if day.note is None else f" Note: {day.note}"
    return DayStatement(
        f"{figures.portfolio_name}: {day.date}",
        f"Signed off by {day.signed_by} at {day.signed_at}.{note} Digest {day.digest}.",
        [
            StatementTable("Figures at the close", amounts, _list_amounts(figures, _FIGURES)),
            StatementTable("P&L of the day", amounts, _list_amounts(figures, _PARTS)),
            StatementTable("Trades", TRADE_COLUMNS, rows.trades),
            StatementTable("Cash", MOVEMENT_COLUMNS, rows.movements),
            StatementTable("Positions at the close", POSITION_COLUMNS, rows.positions),
            StatementTable(
                "Open when signed off",
                ("Kind", "Subject", "Detail"),
                [(open_break.kind, open_break.subject, open_break.detail) for open_break in breaks],
            ),
        ],
    )


def list_csv_rows(statement: DayStatement) -> list[list[StatementCell]]:
    """Return the rows of the statement as a table: the first column names the section of each row."""
    rows: list[list[StatementCell]] = [["Statement", statement.title], ["Statement", statement.signature]]
    for table in statement.tables:
        rows += [[table.caption, *row] for row in (table.columns, *table.rows)]
    return rows


def format_html(statement: DayStatement) -> str:
    """Return the statement as a page that loads nothing. All text is escaped."""
    tables = "".join(map(_format_table, statement.tables))
    title = escape(statement.title)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1><p>{escape(statement.signature)}</p>{tables}"
        "</body></html>\n"
    )


def _list_amounts(figures: DayFigures, names: Iterable[tuple[str, str]]) -> list[Sequence[StatementCell]]:
    return [(label, shorten_amount(getattr(figures, name))) for label, name in names]


def _format_table(table: StatementTable) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell or '')}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    return (
        f"<table><caption>{escape(table.caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )
