"""Read the inputs of a reversal, and build the ledger row that reverses another one."""

from collections.abc import Iterable
from decimal import Decimal

from app.ledger.errors import BeforeCorporateAction, BookedByCorporateAction
from app.ledger.queries import batch_statements as queries
from app.ledger.queries.canonical import format_trade
from app.ledger.queries.corporate_actions import find_later_action, replay_position
from app.ledger.rules.accounting import Fill, Side, build_fill, replay_fills
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.corporate_actions import ACTION_ROW_KINDS, parse_action_key
from app.ledger.rules.keys import TradeKey
from app.ledger.rules.ledger_state import REVERSAL
from app.ledger.service.batch import LedgerBatch
from app.ledger.service.portfolio_state import ReversalInputs, TradeEntry
from app.money import compute_share


def load_reversed_trades(batch: LedgerBatch, trade_keys: Iterable[TradeKey]) -> None:
    """Load trades of locked portfolios that are to be reversed, with the inputs of their reversals."""
    keys = sorted(set(trade_keys) - batch.originals.keys())
    for row in map(format_trade, queries.load_trades(batch.connection, keys)):
        batch.originals[row.trade_key] = row
    batch.reversals |= queries.load_reversals(batch.connection, keys)
    load_reversal_inputs(batch)


def load_reversal_inputs(batch: LedgerBatch) -> None:
    """Load the inputs of the reversals of `batch.originals`.

    If several trades are of one position, only the inputs of the first are loaded: its reversal changes the
    position.
    """
    loaded_keys = set()
    for trade_key, row in batch.originals.items():
        if row.position_key not in loaded_keys and trade_key not in batch.reversals:
            loaded_keys.add(row.position_key)
            batch.reversal_inputs[trade_key] = _read_inputs(batch, row)


def get_reversal_inputs(batch: LedgerBatch, original: TradeRow) -> ReversalInputs:
    """Return the loaded inputs, with the fills of this batch.

    Read them again if the batch changed the position otherwise, such as by another reversal.
    """
    loaded, current = batch.reversal_inputs.get(original.trade_key), batch.get_position(original.position_key)
    if loaded is not None and loaded.current is current:
        return loaded
    rows = batch.list_new_trades(original.position_key)
    if loaded is not None and all(row.kind == "trade" for row in rows):
        fills = [build_fill_of_trade(row) for row in rows]
        if replay_fills(fills, loaded.current) == current:
            return ReversalInputs(current, replay_fills(fills, loaded.after), loaded.later_action)
    batch.flush()  # so that the queries also read the rows of this batch
    return _read_inputs(batch, original)


def build_fill_of_trade(row: TradeRow) -> Fill:
    """Return the fill of a trade of the ledger."""
    rate = None if row.fx_rate is None else Decimal(row.fx_rate)
    amounts = (Decimal(row.quantity), Decimal(row.gmv))
    return build_fill(Side(row.side), *amounts, row.currency, rate, row.executed_at)


def _read_inputs(batch: LedgerBatch, row: TradeRow) -> ReversalInputs:
    current = batch.get_position(row.position_key)
    later_action = find_later_action(batch.connection, row)
    if row.kind == REVERSAL or later_action is not None or parse_action_key(row.idempotency_key) is not None:
        return ReversalInputs(current, current, later_action)  # it cannot be reversed
    after = replay_position(batch.connection, row.position_key, without=row.trade_id)
    return ReversalInputs(current, after, None)


def require_no_action(original: TradeRow, inputs: ReversalInputs) -> None:
    """Raise where a corporate action booked the trade, or acted on its position since."""
    action_id = parse_action_key(original.idempotency_key)
    if action_id is not None:
        raise BookedByCorporateAction(original.trade_id, action_id)
    if inputs.later_action is not None:
        action_id = parse_action_key(inputs.later_action.idempotency_key)
        raise BeforeCorporateAction(original.trade_id, action_id or inputs.later_action.trade_id)


def build_reversal_entry(original: TradeRow, reason: str, price: Decimal | None = None) -> TradeEntry:
    """Return the entry of the row that reverses `original`.

    `price` replaces the price of the original, for a row of a corporate action.
    """
    side = Side(original.side)
    trade_count = 0 if original.kind in ACTION_ROW_KINDS else -1
    return TradeEntry(
        kind=REVERSAL,
        symbol=original.symbol,
        product=original.product,
        side=(Side.SELL if side is Side.BUY else Side.BUY).value,
        quantity=Decimal(original.quantity),
        price=Decimal(original.price) if price is None else price,
        gmv=Decimal(original.gmv),
        charges=-Decimal(original.charges),
        cash_delta=-Decimal(original.cash_delta),
        trades=trade_count,
        buys=trade_count if side is Side.BUY else 0,
        note=reason,
        reverses=original.trade_id,
        currency=original.currency,
        fx_rate=None if original.fx_rate is None else Decimal(original.fx_rate),
    )


def restate_price(price: Decimal, new_units: Decimal, old_units: Decimal) -> Decimal:
    """Return a price after a split, at least the smallest one."""
    return max(compute_share(price, old_units, new_units), Decimal("0.00000001"))
