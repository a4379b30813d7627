"""Append the reversal of a trade to the ledger."""

from app.ledger.errors import AlreadyReversed, MixesCurrencies
from app.ledger.rules.accounting import MIXED
from app.ledger.rules.chain import TradeRow
from app.ledger.service.commands import CommandOrigin
from app.ledger.service.reversals import build_reversal_entry, get_reversal_inputs, require_no_action
from app.orders.service.batch_state.batch_context import BatchContext


def append_reversal(
    context: BatchContext, origin: CommandOrigin, original: TradeRow, reason: str
) -> TradeRow:
    """Append the reversal of a loaded trade, and return it.

    Raises AlreadyReversed, MixesCurrencies, BookedByCorporateAction and BeforeCorporateAction.
    """
    batch, key = context.ledger, original.trade_key
    if key in batch.reversals:
        raise AlreadyReversed(original.trade_id, batch.reversals[key])
    inputs = get_reversal_inputs(batch, original)
    require_no_action(original, inputs)
    if inputs.after.quantity and inputs.after.currency == MIXED:
        raise MixesCurrencies(original.trade_id)
    portfolio, entry = batch.get_portfolio(original.portfolio_key), build_reversal_entry(original, reason)
    row = batch.append(portfolio, origin, entry, inputs.after)
    batch.reversals[key] = row.trade_id
    return row
