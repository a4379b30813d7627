"""Restate the stored prices of a symbol after a split: its quote, and the mark that a person set."""

from app.audit.service import AuditEntry
from app.instruments.rules import InstrumentKey
from app.ledger.rules.corporate_actions import ActionKind, CorporateActionTerms, Ratio
from app.ledger.service.reversals import restate_price
from app.market_data.queries import build_quote_restatement, load_quotes
from app.market_data.queries.mark_overrides import build_mark_override_upsert, load_mark_overrides
from app.market_data.rules.values import Quote
from app.market_data.service.mark_overrides import SET, serialize_mark_override
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.commands import ApplyCorporateAction
from app.timestamps import format_timestamp

ACTOR = "corporate action"
_MANUAL = "manual"
_SUFFIX = 8  # the random end of an action's id


def load_stored_prices(context: BatchContext, command: ApplyCorporateAction) -> None:
    """Load the stored quote and the mark of the symbol."""
    key, loaded = InstrumentKey(command.action.tenant_id, command.action.symbol), context.loaded
    if command.action.kind is ActionKind.SPLIT and key not in loaded.stored_quotes:
        context.find_quote(*key)
        loaded.stored_quotes[key] = load_quotes(context.connection, [key]).get(key)
        loaded.stored_marks[key] = load_mark_overrides(context.connection, [key], command.origin.at).get(key)


def restate_prices(context: BatchContext, command: ApplyCorporateAction) -> None:
    """Divide the quote and the mark of the symbol, or multiply them back. A repeat changes nothing.

    Prices that arrived after the split took effect are in the new units, and stay. A reversal only restates
    the prices that the booking of the same split changed. The caller has locked the quote.
    """
    ratio = command.action.ratio
    if command.is_reversal:
        ratio = Ratio(ratio.old_units, ratio.new_units)
    key = InstrumentKey(command.action.tenant_id, command.action.symbol)
    _restate_quote(context, command, key, ratio)
    _restate_mark(context, command, key, ratio)


def _restate_quote(
    context: BatchContext, command: ApplyCorporateAction, key: InstrumentKey, ratio: Ratio
) -> None:
    """Store the restated quote and add it to the ticks, from which later valuations of this time read it."""
    quote, own_source = context.loaded.stored_quotes[key], build_source(command.action)
    if quote is None:
        return
    is_restated = quote.source == own_source
    is_due = is_restated if command.is_reversal else format_timestamp(quote.at) < command.action.effective_at
    if not is_due:
        return
    bid, ask, last = (
        None if price is None else restate_price(price, *ratio)
        for price in (quote.bid, quote.ask, quote.last)
    )
    source = _MANUAL if command.is_reversal else own_source
    restated = Quote(key.symbol, bid, ask, last, None, None, command.origin.at, source)
    context.loaded.stored_quotes[key] = restated
    context.apply_quote(key.tenant_id, restated)
    context.writes += build_quote_restatement(key, restated)


def _restate_mark(
    context: BatchContext, command: ApplyCorporateAction, key: InstrumentKey, ratio: Ratio
) -> None:
    action, at = command.action, command.origin.at
    previous = context.loaded.stored_marks[key]
    if previous is None:
        return
    setter = f"{ACTOR} {action.id}"
    is_due = (
        previous.set_by == setter
        if command.is_reversal
        else format_timestamp(previous.set_at) < action.effective_at
    )
    if not is_due:
        return
    updated = previous._replace(
        price=restate_price(previous.price, *ratio),
        set_by=ACTOR if command.is_reversal else setter,
        set_at=at,
    )
    context.loaded.stored_marks[key] = updated
    context.writes.append(build_mark_override_upsert(key.tenant_id, updated))
    entry = AuditEntry(
        key.tenant_id,
        at=at,
        actor=ACTOR,
        via=ACTOR,
        action=SET,
        target=key.symbol,
        request_id=context.request_id,
        before=serialize_mark_override(previous),
        after=serialize_mark_override(updated),
    )
    context.audit_entries.append(entry)


def build_source(action: CorporateActionTerms) -> str:
    """Return the source of a quote that a split restated."""
    return f"split {action.id[-_SUFFIX:]}"
