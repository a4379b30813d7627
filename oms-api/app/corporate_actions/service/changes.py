"""Record corporate actions and their reversals, each with its audit entry."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection

from app.audit.service import AuditEntry, record_entries
from app.calendars.rules.market_lookup import compute_day_start
from app.corporate_actions import queries
from app.corporate_actions.errors import (
    CorporateActionReversed,
    InvalidCorporateAction,
    NoSuchCorporateAction,
)
from app.corporate_actions.queries import ActionRecord
from app.corporate_actions.rules.terms import ActionDraft, list_term_errors
from app.corporate_actions.service.preview import preview_action
from app.identity.service.change_executor import ChangeRequest, ChangeResult
from app.ids import SortableIds
from app.instruments.queries import load_instruments, load_symbol
from app.instruments.rules import InstrumentKey
from app.ledger.rules.corporate_actions import CorporateActionTerms
from app.ledger.service.batch import RateLookup
from app.money import format_optional_fixed
from app.timestamps import format_timestamp

IDS = SortableIds("C")
BOOKED_BY = "corporate action"


def build_action(
    connection: Connection, tenant_id: int, draft: ActionDraft, action_id: str = ""
) -> CorporateActionTerms:
    """Return the action that a request describes. Raises InvalidCorporateAction."""
    current_draft = draft._replace(
        symbol=load_symbol(connection, tenant_id, draft.symbol),
        new_symbol=draft.new_symbol and load_symbol(connection, tenant_id, draft.new_symbol),
    )
    errors = list_term_errors(current_draft)
    if errors:
        raise InvalidCorporateAction(errors)
    key = InstrumentKey(tenant_id, current_draft.symbol)
    instrument = load_instruments(connection, [key])[key]
    effective_at = compute_day_start(current_draft.ex_date, instrument.exchange, instrument.asset_class)
    return current_draft.build(tenant_id, action_id, format_timestamp(effective_at))


def create_action(
    connection: Connection, request: ChangeRequest, draft: ActionDraft, rates: RateLookup, now: datetime
) -> ChangeResult:
    """Record an action. Nothing is booked yet.

    Raises InvalidCorporateAction, NoRate and TradedAfterSymbolChange.
    """
    caller = request.caller
    action = build_action(connection, caller.tenant_id, draft, IDS.generate(caller.tenant_id, now))
    preview_action(connection, action, rates, now)  # raises the error that would stop the booking
    pay_date = None if draft.pay_date is None else draft.pay_date.isoformat()
    created = ActionRecord(
        action=action,
        pay_date=pay_date,
        reason=draft.reason,
        created_by=caller.actor,
        created_at=now,
        booked_at=None,
        reversed_at=None,
        reversal_reason=None,
    )
    queries.insert_action(connection, created)
    entry = request.build_audit_entry(
        now, "corporate_action.created", action.id, None, serialize_terms(created)
    )
    return ChangeResult({"id": action.id}, [entry], 201)


def record_booking(connection: Connection, action: CorporateActionTerms, at: datetime) -> None:
    """Note that all portfolios are booked, unless that was noted before."""
    if queries.mark_booked(connection, action, at):
        entry = AuditEntry(
            action.tenant_id,
            at=at,
            actor=BOOKED_BY,
            via=BOOKED_BY,
            action="corporate_action.booked",
            target=action.id,
            after={"symbol": action.symbol},
        )
        record_entries(connection, [entry])


def record_reversal(
    connection: Connection, request: ChangeRequest, action_id: str, reason: str, now: datetime
) -> ChangeResult:
    """Note that an action is reversed. Raises NoSuchCorporateAction or CorporateActionReversed."""
    action = load_record(connection, request.caller.tenant_id, action_id)
    if not queries.mark_reversed(connection, action.action, now, reason):
        raise CorporateActionReversed(action_id)
    entry = request.build_audit_entry(now, "corporate_action.reversed", action_id, None, {"reason": reason})
    return ChangeResult({"id": action_id}, [entry])


def load_record(connection: Connection, tenant_id: int, action_id: str) -> ActionRecord:
    """Return an action. Raises NoSuchCorporateAction."""
    action = queries.find_action(connection, tenant_id, action_id)
    if action is None:
        raise NoSuchCorporateAction(action_id)
    return action


_AMOUNTS: Sequence[str] = (
    "new_units", "old_units", "amount", "withholding_percent", "cash_in_lieu_price",
)  # fmt: skip


def serialize_terms(created: ActionRecord) -> dict[str, str | None]:
    """Return the terms of an action as the audit log keeps them."""
    terms = created.action._asdict()
    amounts = {name: format_optional_fixed(terms[name]) for name in _AMOUNTS}
    names = ("symbol", "new_symbol", "effective_at", "ex_date", "currency")
    texts = {name: terms[name] for name in names} | {"kind": created.action.kind.value}
    return texts | amounts | {"pay_date": created.pay_date, "reason": created.reason}
