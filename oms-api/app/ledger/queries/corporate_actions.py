"""Read corporate actions and the steps of a position's ledger. Every query filters by tenant first."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, literal_column, select

from app.column_values import format_canonical
from app.ledger.models import CashMovement, Trade
from app.ledger.models import CorporateAction as ActionRecord
from app.ledger.queries.batch_statements import FILL_COLUMNS, iterate_unreversed_fills, parse_fill_row
from app.ledger.queries.canonical import format_trade
from app.ledger.queries.reversals import build_reversed_condition
from app.ledger.rules.accounting import Fill, Position, Side, replay_fills
from app.ledger.rules.cash import CASH_COLUMNS, CashRow
from app.ledger.rules.chain import COLUMNS, TradeRow
from app.ledger.rules.corporate_actions import (
    ACTION_ROWS,
    KEY_PREFIX,
    SPLIT,
    ActionKind,
    CorporateActionTerms,
    FractionSale,
    Split,
    Step,
    TransferIn,
    TransferOut,
    parse_action_key,
    replay_steps,
)
from app.ledger.rules.keys import PortfolioKey, PositionKey
from app.timestamps import BEFORE_ALL, format_timestamp

INCOMING, OUTGOING = ":in", ":out"  # the parts of a transfer between symbols
_ACTION = (
    "tenant_id", "id", "kind", "symbol", "effective_at", "ex_date", "new_symbol", "new_units", "old_units",
    "amount", "withholding_percent", "cash_in_lieu_price", "currency",
)  # fmt: skip
_ROWS_PER_CHUNK = 10_000
# Databases use a partial index only for a condition without parameters.
_IS_ACTION = Trade.kind.in_([literal_column(f"'{kind}'") for kind in sorted(ACTION_ROWS)])


def load_actions(
    connection: Connection, tenant_id: int, ids: Iterable[str]
) -> dict[str, CorporateActionTerms]:
    """Return the terms of corporate actions by id."""
    columns = [getattr(ActionRecord, name) for name in _ACTION]
    statement = (
        select(*columns)
        .where(ActionRecord.tenant_id == tenant_id, ActionRecord.id.in_(sorted(set(ids))))
        .order_by(ActionRecord.id)
    )
    return {action.id: action for action in map(build_action, connection.execute(statement))}


def load_all_actions(connection: Connection, tenant_id: int) -> dict[str, CorporateActionTerms]:
    """Return the terms of all corporate actions of a tenant by id."""
    columns = [getattr(ActionRecord, name) for name in _ACTION]
    rows = connection.execute(select(*columns).where(ActionRecord.tenant_id == tenant_id))
    return {action.id: action for action in map(build_action, rows)}


def list_actions_of_symbols(
    connection: Connection, tenant_id: int, symbols: Iterable[str], period: tuple[datetime, datetime]
) -> list[CorporateActionTerms]:
    """Return the actions of symbols that take effect in [start, end) and are not reversed, in time order."""
    statement = select(*(getattr(ActionRecord, name) for name in _ACTION)).where(
        ActionRecord.tenant_id == tenant_id,
        ActionRecord.symbol.in_(list(symbols)),
        ActionRecord.effective_at >= period[0],
        ActionRecord.effective_at < period[1],
        ActionRecord.reversed_at.is_(None),
    )
    ordered = statement.order_by(ActionRecord.effective_at, ActionRecord.id)
    return list(map(build_action, connection.execute(ordered)))


def build_action(row: Any) -> CorporateActionTerms:  # a row with the columns of `CorporateActionTerms`
    """Return the action of a row of the table."""
    values = dict(zip(_ACTION, row, strict=True))
    values["kind"], values["effective_at"] = (
        ActionKind(values["kind"]),
        format_timestamp(values["effective_at"]),
    )
    return CorporateActionTerms(**values)


def replay_position(
    connection: Connection, key: PositionKey, without: str = "", until: int | None = None
) -> Position:
    """Return the position that results from the rows that are not reversed, except the row `without`.

    `until` is the last sequence that counts, None for all. Raises LookupError if a row names an unknown
    corporate action, or if a transfer lacks the row before it.
    """
    if until is None and not has_action_rows(connection, key):
        return replay_fills(iterate_unreversed_fills(connection, key, without))
    return replay_steps(list_steps(connection, key, without, until))


def has_action_rows(connection: Connection, key: PositionKey, until: int | None = None) -> bool:
    """Return whether a corporate action changed the position, up to a sequence."""
    statement = select(Trade.trade_id).where(*_build_position_conditions(key, until), _IS_ACTION).limit(1)
    return connection.execute(statement).first() is not None


def list_steps(
    connection: Connection, key: PositionKey, without: str = "", until: int | None = None
) -> list[Step]:
    """Return the unreversed fills and adjustments of a position in the order of the ledger."""
    return list(list_steps_by_trade(connection, key, without, until).values())


def list_steps_by_trade(
    connection: Connection, key: PositionKey, without: str = "", until: int | None = None
) -> dict[str, Step]:
    """Return the steps of `list_steps` by trade id."""
    statement = (
        select(Trade.trade_id, Trade.kind, Trade.sequence, Trade.idempotency_key, *FILL_COLUMNS)
        .where(*_build_position_conditions(key, until), Trade.kind != "reversal")
        .where(Trade.trade_id != without, ~build_reversed_condition(until))
        .order_by(Trade.sequence)
    )
    rows = connection.execute(statement, execution_options={"yield_per": _ROWS_PER_CHUNK}).all()
    ids = {parse_action_key(row.idempotency_key) for row in rows if row.kind in ACTION_ROWS}
    actions = load_actions(connection, key.tenant_id, filter(None, ids))
    return dict(_read_steps(connection, key, rows, actions))


def find_later_action(connection: Connection, row: TradeRow) -> TradeRow | None:
    """Return an unreversed row of a corporate action that acted on a row, None if there is none.

    Of two actions at the same instant, the later one acted on the rows that the earlier one booked.
    """
    key, action_id = row.position_key, parse_action_key(row.idempotency_key)
    statement = (
        select(*(getattr(Trade, name) for name in COLUMNS))
        .where(*_build_position_conditions(key, None), _IS_ACTION, ~build_reversed_condition())
        .where(Trade.sequence > row.sequence)
        .order_by(Trade.sequence)
    )
    rows = map(format_trade, connection.execute(statement))
    return next(
        (
            trade
            for trade in rows
            if trade.executed_at > row.executed_at
            or (
                action_id
                and trade.executed_at == row.executed_at
                and parse_action_key(trade.idempotency_key) != action_id
            )
        ),
        None,
    )


def is_reversed(connection: Connection, action: CorporateActionTerms) -> bool:
    """Return whether the action was reversed."""
    statement = select(ActionRecord.reversed_at).where(
        ActionRecord.tenant_id == action.tenant_id, ActionRecord.id == action.id
    )
    return connection.execute(statement).scalar_one_or_none() is not None


def list_action_trades(
    connection: Connection, key: PortfolioKey, action: CorporateActionTerms
) -> list[TradeRow]:
    """Return the unreversed ledger rows that an action booked in a portfolio, the newest first."""
    keys = Trade.idempotency_key.startswith(f"{KEY_PREFIX}{action.id}:", autoescape=True)
    symbols = [symbol for symbol in (action.symbol, action.new_symbol) if symbol]
    statement = (
        select(*(getattr(Trade, name) for name in COLUMNS))
        .where(Trade.tenant_id == key.tenant_id, Trade.portfolio_id == key.portfolio_id)
        .where(Trade.symbol.in_(symbols))
        .where(keys, ~build_reversed_condition())
        .order_by(Trade.sequence.desc())
    )
    return [format_trade(row) for row in connection.execute(statement)]


def list_action_movements(
    connection: Connection, tenant_id: int, action_id: str, portfolio_id: int | None = None
) -> list[CashRow]:
    """Return the cash movements that an action booked, in the order of their booking."""
    columns = (getattr(CashMovement, name) for name in CASH_COLUMNS)
    statement = select(*columns).where(
        CashMovement.tenant_id == tenant_id, CashMovement.idempotency_key == f"{KEY_PREFIX}{action_id}"
    )
    if portfolio_id is not None:
        statement = statement.where(CashMovement.portfolio_id == portfolio_id)
    rows = connection.execute(statement.order_by(CashMovement.portfolio_id, CashMovement.sequence))
    return [CashRow._make(map(format_canonical, row)) for row in rows]


def find_booking_action(connection: Connection, row: TradeRow) -> CorporateActionTerms | None:
    """Return the action that the key of a ledger row names, None if it names none."""
    action_id = parse_action_key(row.idempotency_key)
    return None if action_id is None else load_actions(connection, row.tenant_id, [action_id]).get(action_id)


def load_last_price(connection: Connection, key: PositionKey) -> Any:
    """Return the price and the rate of the position's last row that has a price."""
    statement = (
        select(Trade.price, Trade.fx_rate)
        .where(*_build_position_conditions(key, None))
        .order_by(Trade.sequence.desc())
    )
    return connection.execute(statement.limit(1)).first()


def _read_steps(
    connection: Connection, key: PositionKey, rows: Iterable[Any], actions: dict[str, CorporateActionTerms]
) -> Iterator[tuple[str, Step]]:
    for trade_id, kind, sequence, row_key, *values in rows:
        fill = parse_fill_row(values)
        at = fill.at or BEFORE_ALL
        step: Step
        if kind not in ACTION_ROWS:
            step = fill if parse_action_key(row_key) is None else FractionSale(at, fill)
        elif kind == SPLIT:
            step = Split(at, actions[parse_action_key(row_key) or ""].ratio)
        elif row_key.endswith(OUTGOING):
            step = TransferOut(at)
        else:
            step = TransferIn(at, _read_transfer(connection, key, sequence, fill))
        yield trade_id, step


def _read_transfer(connection: Connection, key: PositionKey, sequence: int, fill: Fill) -> Fill:
    """Return the fill of a transfer with the exact cost that the row before it moved from the old symbol.

    Raises LookupError if there is no row before it.
    """
    statement = select(Trade.quantity_delta, Trade.cost_delta, Trade.local_cost_delta).where(
        Trade.tenant_id == key.tenant_id,
        Trade.portfolio_id == key.portfolio_id,
        Trade.sequence == sequence - 1,
    )
    row_before = connection.execute(statement).first()
    if row_before is None:
        raise LookupError(f"no row {sequence - 1} before a transfer")
    quantity, cost, local_cost = row_before
    side = Side.SELL if quantity > 0 else Side.BUY
    local_value = fill.local_value if local_cost is None else abs(local_cost)
    return Fill(side, abs(quantity), abs(cost), local_value, fill.currency, fill.at)


def _build_position_conditions(key: PositionKey, until: int | None) -> list[ColumnElement[bool]]:
    tenant_id, portfolio_id, symbol, product = key
    conditions: list[ColumnElement[bool]] = [
        Trade.tenant_id == tenant_id,
        Trade.portfolio_id == portfolio_id,
        Trade.symbol == symbol,
        Trade.product == product,
    ]
    return conditions if until is None else [*conditions, Trade.sequence <= until]
