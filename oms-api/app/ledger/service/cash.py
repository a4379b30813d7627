"""Deposit, withdraw and transfer cash, and list the rows that moved it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.ids import SortableIds
from app.ledger.errors import InvalidCashMovement, NoSuchPortfolio, NotEnoughCash
from app.ledger.queries import batch_statements
from app.ledger.queries import cash as queries
from app.ledger.queries.cash import CashCursor, TradeCash
from app.ledger.rules.cash import CashKind, CashRow, sign_amount
from app.ledger.rules.keys import PortfolioKey, PortfolioNameKey
from app.ledger.service.batch import LedgerBatch
from app.ledger.service.commands import CommandOrigin
from app.ledger.service.portfolio_state import CashEntry, PortfolioState
from app.money import format_fixed, shorten_amount
from app.text import name_key


class PortfolioCash(NamedTuple):
    """The cash of a portfolio in its currency. `may_be_short` is false where all its positions are long."""

    tenant_id: int
    portfolio_id: int
    base_currency: str
    cash: Decimal
    may_be_short: bool = True


BuyingPowers = Callable[[Connection, Sequence[PortfolioCash], datetime], dict[int, Decimal]]
"""Return the buying power by portfolio id. The orders package provides it."""


class CashMove(NamedTuple):
    """A movement of cash on request. `amount` is positive and in `currency`.

    `kind` is deposit, withdrawal or transfer. Only a transfer has `to_portfolio`.
    """

    portfolio: str
    kind: str
    amount: Decimal
    currency: str
    to_portfolio: str | None
    reason: str


class CashListItem(NamedTuple):
    """A row of a cash statement: a movement or a trade. The opening cash is neither."""

    position: CashCursor
    movement: CashRow | None = None
    trade: TradeCash | None = None


def move_cash(
    connection: Connection, request: ChangeRequest, move: CashMove, buying_powers: BuyingPowers, now: datetime
) -> ChangeResult:
    """Deposit, withdraw or transfer cash under the locks of its portfolios.

    Raises NoSuchPortfolio if the caller sees no such portfolio, InvalidCashMovement, NotEnoughCash if the
    buying power does not cover the amount, and AmountTooLarge.
    """
    ledger = LedgerBatch(connection, SortableIds())
    tenant_id = request.caller.tenant_id
    ids = _find_portfolios(connection, request, move)
    keys = [PortfolioKey(tenant_id, portfolio_id) for portfolio_id in ids]
    ledger.lock(keys)
    portfolios = [ledger.get_portfolio(key) for key in keys]
    for portfolio, field in zip(portfolios, ("currency", "to_portfolio"), strict=False):
        if portfolio.base_currency != move.currency:
            raise InvalidCashMovement(
                field, f"The portfolio {portfolio.name!r} is in {portfolio.base_currency}."
            )
    if move.kind != CashKind.DEPOSIT:
        _require_buying_power(connection, portfolios[0], move.amount, buying_powers, now)
    origin = build_cash_origin(request, now)
    rows = [
        ledger.append_cash(portfolio, origin, entry)
        for portfolio, entry in zip(portfolios, _build_entries(move, ids), strict=True)
    ]
    ledger.flush()
    entries = [
        request.build_audit_entry(
            now, f"cash.{row.kind}", f"portfolio:{portfolio.name}", None, _serialize_for_audit(row)
        )
        for portfolio, row in zip(portfolios, rows, strict=True)
    ]
    names = {portfolio.id: portfolio.name for portfolio in portfolios}
    return ChangeResult(serialize_movement(rows[0], names), entries, 201)


def list_cash(
    connection: Connection, tenant_id: int, portfolio_id: int, before: CashCursor | None, limit: int
) -> list[CashListItem]:
    """Return the newest cash rows of a portfolio, newest first; the opening cash is the last.

    `before` is the position of the last row seen.
    """
    portfolio = (tenant_id, portfolio_id)
    movements = queries.list_movements_before(connection, *portfolio, before, limit)
    trades = queries.list_trades_before(connection, *portfolio, before, limit)
    cash_list_items = [
        CashListItem(CashCursor(row.trade_sequence, row.sequence), movement=row) for row in movements
    ]
    cash_list_items += [CashListItem(CashCursor(row.sequence, 0), trade=row) for row in trades]
    if before != CashCursor(0, 0):
        cash_list_items.append(CashListItem(CashCursor(0, 0)))
    return sorted(cash_list_items, key=lambda item: item.position, reverse=True)[:limit]


def serialize_movement(row: CashRow, names: dict[int, str]) -> dict[str, Any]:
    """Return the response of a movement. `names` has the portfolios that the caller may see, by id."""
    return {
        "kind": row.kind,
        "amount": shorten_amount(row.amount),
        "currency": row.currency,
        "balance": shorten_amount(row.balance_after),
        "charges": None,
        "trade_id": None,
        "symbol": row.symbol,
        "counterpart": names.get(row.counterpart_id or 0),
        "reason": row.reason,
        "source": row.source,
        "actor": row.actor,
        "request_id": row.request_id,
        "idempotency_key": row.idempotency_key,
        "settles_on": row.created_at[:10],
        "is_settled": True,
        "created_at": row.created_at,
    }


def _find_portfolios(connection: Connection, request: ChangeRequest, move: CashMove) -> list[int]:
    """Return the ids of the portfolio and of the portfolio that a transfer goes to."""
    caller = request.caller
    names = [move.portfolio, *([] if move.to_portfolio is None else [move.to_portfolio])]
    keys = [PortfolioNameKey(caller.tenant_id, name_key(name)) for name in names]
    if len(set(keys)) < len(keys):
        raise InvalidCashMovement("to_portfolio", "Must be another portfolio.")
    portfolio_ids = batch_statements.load_portfolio_ids(
        connection, [key for key in keys if caller.can_see(key.name_key)]
    )
    if keys[0] not in portfolio_ids:
        raise NoSuchPortfolio(move.portfolio)
    if keys[-1] not in portfolio_ids:
        raise InvalidCashMovement("to_portfolio", f"There is no portfolio {move.to_portfolio!r}.")
    return [portfolio_ids[key] for key in keys]


def _build_entries(move: CashMove, ids: Sequence[int]) -> list[CashEntry]:
    if move.kind != "transfer":
        kind = CashKind(move.kind)
        return [CashEntry(kind, sign_amount(kind, move.amount), move.reason)]
    source, target = ids
    return [
        CashEntry(CashKind.TRANSFER_OUT, -move.amount, move.reason, target),
        CashEntry(CashKind.TRANSFER_IN, move.amount, move.reason, source),
    ]


def _require_buying_power(
    connection: Connection,
    portfolio: PortfolioState,
    amount: Decimal,
    buying_powers: BuyingPowers,
    now: datetime,
) -> None:
    cash = PortfolioCash(portfolio.tenant_id, portfolio.id, portfolio.base_currency, portfolio.cash)
    buying_power = buying_powers(connection, [cash], now)[portfolio.id]
    if amount > buying_power:
        raise NotEnoughCash(
            portfolio.name, shorten_amount(format_fixed(amount)), shorten_amount(format_fixed(buying_power))
        )


def build_cash_origin(request: ChangeRequest, now: datetime) -> CommandOrigin:
    """Return the origin of a movement that a request causes."""
    caller = request.caller
    return CommandOrigin(
        tenant_id=caller.tenant_id,
        source=caller.name,
        user_label=None,
        at=now,
        idempotency_key=request.idempotency_key,
        request_hash=None,
        actor=caller.person,
        request_id=request.request_id,
    )


def _serialize_for_audit(row: CashRow) -> dict[str, Any]:
    return {
        "amount": shorten_amount(row.amount),
        "currency": row.currency,
        "balance": shorten_amount(row.balance_after),
        "sequence": row.sequence,
        "reason": row.reason,
    }
