"""Parse a CSV file of splits and cash dividends."""

import csv
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal

from app.calendars.rules.market_lookup import compute_day_start
from app.instruments.rules import get_unlisted_terms, normalize_symbol
from app.ledger.rules.corporate_actions import ActionKind, CorporateActionTerms
from app.ledger.rules.currencies import CURRENCIES
from app.money import find_amount_error, parse_plain
from app.timestamps import format_timestamp

REQUIRED_COLUMNS = ("symbol", "ex_date", "kind")
TERM_COLUMNS = ("new_units", "old_units", "cash_in_lieu_price", "amount", "currency", "withholding_percent")
_COLUMNS = frozenset({*REQUIRED_COLUMNS, *TERM_COLUMNS})
_TERMS: Mapping[ActionKind, tuple[tuple[str, ...], tuple[str, ...]]] = {  # required and optional ones
    ActionKind.SPLIT: (("new_units", "old_units"), ("cash_in_lieu_price",)),
    ActionKind.DIVIDEND: (("amount",), ("currency", "withholding_percent")),
}
_HUNDRED = Decimal(100)
_NO_TENANT = 0


class InvalidActions(ValueError):
    """Raised when a line of the file is wrong. The text names it."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")


def parse_actions(text: str, exchange: str) -> list[CorporateActionTerms]:
    """Return the actions of a file. They take effect when their ex-date begins at the exchange.

    Raises InvalidActions.
    """
    reader = csv.DictReader(text.splitlines(), strict=True)
    columns = list(reader.fieldnames or ())
    unknown = [name for name in columns if name not in _COLUMNS]
    missing = [name for name in REQUIRED_COLUMNS if name not in columns]
    if unknown or missing:
        allowed_columns = ",".join((*REQUIRED_COLUMNS, *TERM_COLUMNS))
        raise InvalidActions(1, f"the header must have the columns {allowed_columns}; terms may be left out")
    return list(_parse_rows(reader, exchange))


def _parse_rows(reader: "csv.DictReader[str]", exchange: str) -> Iterator[CorporateActionTerms]:
    try:
        for row in reader:
            if None in row or None in row.values():
                raise InvalidActions(reader.line_num, "the number of cells is not that of the header")
            yield _parse_action(reader.line_num, {name: cell.strip() for name, cell in row.items()}, exchange)
    except csv.Error as error:
        raise InvalidActions(reader.line_num + 1, str(error)) from None


def _parse_action(line: int, cells: Mapping[str, str], exchange: str) -> CorporateActionTerms:
    symbol = normalize_symbol(cells["symbol"])
    if symbol is None:
        raise InvalidActions(line, "`symbol` is not a symbol")
    if cells["kind"] not in _TERMS:
        raise InvalidActions(line, f"`kind` must be one of {', '.join(_TERMS)}")
    kind = ActionKind(cells["kind"])
    _check_terms(line, kind, cells)
    try:
        ex_date = date.fromisoformat(cells["ex_date"])
    except ValueError:
        raise InvalidActions(line, "`ex_date` must be a date such as 2026-11-23") from None
    effective_at = compute_day_start(ex_date, exchange, get_unlisted_terms(symbol).asset_class)
    action = CorporateActionTerms(
        _NO_TENANT, f"line {line}", kind, symbol, format_timestamp(effective_at), ex_date.isoformat(),
        new_units=_parse_amount(line, cells, "new_units"), old_units=_parse_amount(line, cells, "old_units"),
        amount=_parse_amount(line, cells, "amount"),
        withholding_percent=_parse_amount(line, cells, "withholding_percent"),
        cash_in_lieu_price=_parse_amount(line, cells, "cash_in_lieu_price"),
        currency=cells.get("currency") or None,
    )  # fmt: skip
    _check_values(line, action)
    return action


def _check_terms(line: int, kind: ActionKind, cells: Mapping[str, str]) -> None:
    required, optional = _TERMS[kind]
    for name in TERM_COLUMNS:
        if cells.get(name) and name not in (*required, *optional):
            raise InvalidActions(line, f"a {kind} has no `{name}`")
        if not cells.get(name) and name in required:
            raise InvalidActions(line, f"a {kind} needs `{name}`")


def _check_values(line: int, action: CorporateActionTerms) -> None:
    if action.kind is ActionKind.SPLIT and action.new_units == action.old_units:
        raise InvalidActions(line, "`new_units` must differ from `old_units`")
    if (action.withholding_percent or 0) > _HUNDRED:
        raise InvalidActions(line, "`withholding_percent` must be at most 100")
    if action.currency is not None and action.currency not in CURRENCIES:
        raise InvalidActions(line, "`currency` must be a code such as USD")


def _parse_amount(line: int, cells: Mapping[str, str], name: str) -> Decimal | None:
    text = cells.get(name)
    if not text:
        return None
    amount = parse_plain(text)
    if amount is None or find_amount_error(amount):
        raise InvalidActions(line, f"`{name}` must be a positive number with at most 8 decimals")
    return amount
