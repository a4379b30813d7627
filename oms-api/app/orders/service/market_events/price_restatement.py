"""Restate the stored prices of a symbol after a split: its quote and its mark override."""

from app.audit.service import AuditEntry
from app.instruments.rules import InstrumentKey
from app.ledger.rules.corporate_actions import ActionKind, CorporateActionTerms, Ratio
from app.ledger.service.reversals import restate_price
from app.market_data.queries import build_quote_restatement, load_quotes
from app.market_data.queries.marks import build_override_upsert, load_overrides
from app.market_data.rules.values import Quote
from app.market_data.service.marks import SET, serialize_mark
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.commands import ApplyCorporateAction
from app.timestamps import format_timestamp

ACTOR = "corporate action"
_MANUAL = "manual"
SOURCE_SUFFIX_LENGTH = 8  # the random characters at the end of an action's id


def load_stored_prices(context: BatchContext, command: ApplyCorporateAction) -> None:
    """Load, for a split, the stored quote and the mark override of the symbol, once per batch."""
    key = InstrumentKey(command.action.tenant_id, command.action.symbol)
    loaded = context.loaded
    if command.action.kind is ActionKind.SPLIT and key not in loaded.stored_quotes:
        context.find_quote(*key)
        loaded.stored_quotes[key] = load_quotes(context.connection, [key]).get(key)
        loaded.stored_mark_overrides[key] = load_overrides(context.connection, [key], command.origin.at).get(
            key
        )


def restate_prices(context: BatchContext, command: ApplyCorporateAction) -> None:
    """Divide the quote and the mark override of the symbol by the ratio, or multiply them in a reversal.

    Prices that arrived after the split took effect do not change: they are in the new units. A reversal only
    restates the prices that the same split restated. A repeat changes nothing. The caller has locked the
    quote.
    """
    ratio = command.action.ratio
    if command.is_reversal:
        ratio = Ratio(ratio.old_units, ratio.new_units)
    key = InstrumentKey(command.action.tenant_id, command.action.symbol)
    _restate_quote(context, command, key, ratio)
    _restate_mark_override(context, command, key, ratio)


def _restate_quote(
    context: BatchContext, command: ApplyCorporateAction, key: InstrumentKey, ratio: Ratio
) -> None:
    """Store the restated quote. Add it to the ticks, so that later valuations of this instant use it."""
    quote = context.loaded.stored_quotes[key]
    own_source = build_split_source(command.action)
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
    context.extra_writes += build_quote_restatement(key, restated)


def _restate_mark_override(
    context: BatchContext, command: ApplyCorporateAction, key: InstrumentKey, ratio: Ratio
) -> None:
    action = command.action
    at = command.origin.at
    previous = context.loaded.stored_mark_overrides[key]
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
    context.loaded.stored_mark_overrides[key] = updated
    context.extra_writes.append(build_override_upsert(key.tenant_id, updated))
    entry = AuditEntry(
        key.tenant_id,
        at=at,
        actor=ACTOR,
        via=ACTOR,
        action=SET,
        target=key.symbol,
        request_id=context.request_id,
        before=serialize_mark(previous),
        after=serialize_mark(updated),
    )
    context.audit_entries.append(entry)


def build_split_source(action: CorporateActionTerms) -> str:
    """Return the source of a quote that a split restated.

    The random end of the id identifies the split among the few actions of a symbol.
    """
    return f"split {action.id[-SOURCE_SUFFIX_LENGTH:]}"
