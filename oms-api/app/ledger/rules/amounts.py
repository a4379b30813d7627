"""Parse the amounts of a ledger row, and check the form of its fields."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from app.ledger.rules.accounting import Position
from app.ledger.rules.chain import COLUMNS, TradeRow
from app.money import ZERO, compute_share, format_fixed, multiply


class Amounts(NamedTuple):
    """The amounts of a row as numbers. The last three are set only for a trade in another currency."""

    quantity: Decimal
    price: Decimal
    gmv: Decimal
    charges: Decimal
    realized_pnl: Decimal
    quantity_delta: Decimal
    cost_delta: Decimal
    cash_delta: Decimal
    position_quantity: Decimal
    position_cost: Decimal
    position_realized_pnl: Decimal
    portfolio_realized_pnl: Decimal
    cash_after: Decimal
    fx_rate: Decimal | None = None
    local_cost_delta: Decimal = ZERO
    position_local_cost: Decimal = ZERO

    @property
    def value(self) -> Decimal:
        """The row's value in the portfolio's currency."""
        return self.gmv if self.fx_rate is None else multiply(self.gmv, self.fx_rate)

    @property
    def position(self) -> Position:
        """The position after the row, without its currency and times."""
        amounts = (self.position_quantity, self.position_cost, self.position_realized_pnl)
        return Position(*amounts, self.position_local_cost)

    @property
    def change(self) -> Position:
        """The change of the position by the row."""
        deltas = (self.quantity_delta, self.cost_delta, self.realized_pnl)
        return Position(*deltas, self.local_cost_delta)


def parse_row_amounts(row: TradeRow) -> Amounts | None:
    """Return the row's amounts, or None if the row is not in canonical form."""
    if not _is_canonical(row):
        return None
    texts = _list_amount_texts(row)
    return Amounts(*map(Decimal, texts if row.currency is None else texts + _list_local_texts(row)))


def list_malformed_fields(row: TradeRow) -> Iterator[tuple[str, object, str]]:
    """Yield the fields that are not in canonical form: name, value, and the expected form."""
    patterns = _PATTERNS if row.currency is None else _PATTERNS | _LOCAL_PATTERNS
    for name, value in zip(COLUMNS, row, strict=True):
        pattern = patterns.get(name)
        if row.currency is None and name in _LOCAL_PATTERNS and value is not None:
            yield name, value, "null without a currency"
        if pattern and not (isinstance(value, str) and re.fullmatch(pattern, value, re.ASCII)):
            yield name, value, f"text of the form {pattern}"
        elif name in _INTEGER_COLUMNS and type(value) is not int:
            yield name, value, "a whole number"


_TRADE_AMOUNTS = slice(COLUMNS.index("quantity"), COLUMNS.index("realized_pnl") + 1)
_DELTA_AMOUNTS = slice(COLUMNS.index("quantity_delta"), COLUMNS.index("position_realized_pnl") + 1)
_PORTFOLIO_AMOUNTS = slice(COLUMNS.index("portfolio_realized_pnl"), COLUMNS.index("cash_after") + 1)
_LOCAL_AMOUNTS = slice(COLUMNS.index("fx_rate"), COLUMNS.index("position_local_cost") + 1)
_TIMES = slice(COLUMNS.index("executed_at"), COLUMNS.index("created_at") + 1)
_KIND_PATTERN = "trade|reversal|split|transfer"
_AMOUNT_PATTERN = r"-?[0-9]{1,16}\.[0-9]{8}"
_INSTANT_PATTERN = r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]\.[0-9]{6}Z"
_REQUIRED_AMOUNTS = (*COLUMNS[_TRADE_AMOUNTS], *COLUMNS[_DELTA_AMOUNTS], *COLUMNS[_PORTFOLIO_AMOUNTS])
_PATTERNS = {
    "kind": _KIND_PATTERN,
    "side": "BUY|SELL",
    **dict.fromkeys(_REQUIRED_AMOUNTS, _AMOUNT_PATTERN),
    **dict.fromkeys(COLUMNS[_TIMES], _INSTANT_PATTERN),
}
_LOCAL_PATTERNS = {"currency": "[A-Z]{3}", **dict.fromkeys(COLUMNS[_LOCAL_AMOUNTS], _AMOUNT_PATTERN)}
_CANONICAL_ROW = re.compile(
    rf"(?:{_KIND_PATTERN}) (?:BUY|SELL)(?: {_INSTANT_PATTERN}){{2}}"
    rf"(?: {_AMOUNT_PATTERN}){{{len(_REQUIRED_AMOUNTS)}}}",
    re.ASCII,
)
_CANONICAL_LOCAL_AMOUNTS = re.compile(
    rf"[A-Z]{{3}}(?: {_AMOUNT_PATTERN}){{{len(COLUMNS[_LOCAL_AMOUNTS])}}}", re.ASCII
)
_INTEGER_COLUMNS = ("sequence", "trades_after", "buys_after", "hash_version")


def _list_amount_texts(row: TradeRow) -> tuple[str, ...]:
    fields: tuple[Any, ...] = row
    return fields[_TRADE_AMOUNTS] + fields[_DELTA_AMOUNTS] + fields[_PORTFOLIO_AMOUNTS]


def _list_local_texts(row: TradeRow) -> tuple[str, ...]:
    fields: tuple[Any, ...] = row
    return fields[_LOCAL_AMOUNTS]


def _is_canonical(row: TradeRow) -> bool:
    if (
        not type(row.sequence)
        is type(row.trades_after)
        is type(row.buys_after)
        is type(row.hash_version)
        is int
    ):
        return False
    texts = (row.kind, row.side, row.executed_at, row.created_at, *_list_amount_texts(row))
    try:
        return _CANONICAL_ROW.fullmatch(" ".join(texts)) is not None and _has_canonical_currency(row)
    except TypeError:
        return False


def _has_canonical_currency(row: TradeRow) -> bool:
    """Return whether the currency fields are all set or all null."""
    if row.currency is None:
        return not any(text is not None for text in _list_local_texts(row))
    return _CANONICAL_LOCAL_AMOUNTS.fullmatch(" ".join((row.currency, *_list_local_texts(row)))) is not None


_HUNDRED = Decimal(100)
_ZERO_TEXT = format_fixed(ZERO)


def compute_charges_percentage(row: TradeRow) -> str:
    """Return the charges in percent of the value, to 8 decimals, as canonical text.

    Charges and value are in the portfolio's currency. A reversal has the negative percentage of its trade, a
    row without charges or without a value zero.
    """
    if row.charges == _ZERO_TEXT:  # most rows
        return _ZERO_TEXT
    value = Decimal(row.gmv)
    if row.fx_rate is not None:
        value = multiply(value, Decimal(row.fx_rate))
    return format_fixed(compute_share(Decimal(row.charges), _HUNDRED, value)) if value else _ZERO_TEXT
