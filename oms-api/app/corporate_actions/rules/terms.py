"""Check the terms of a corporate action."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from app.errors import FieldError
from app.ledger.rules.corporate_actions import ActionKind, CorporateActionTerms
from app.timestamps import Timestamp

_HUNDRED = Decimal(100)
_REQUIRED = {
    ActionKind.SPLIT: ("new_units", "old_units"),
    ActionKind.SYMBOL_CHANGE: ("new_symbol",),
    ActionKind.DIVIDEND: ("amount", "currency"),
}
_OPTIONAL = {
    ActionKind.SPLIT: ("cash_in_lieu_price",),
    ActionKind.SYMBOL_CHANGE: (),
    ActionKind.DIVIDEND: ("withholding_percent", "pay_date"),
}
_TERMS = (
    "new_symbol", "new_units", "old_units", "amount", "withholding_percent", "cash_in_lieu_price",
    "currency", "pay_date",
)  # fmt: skip


class ActionDraft(NamedTuple):
    """The requested terms of an action, without its id. The fields are as in `CorporateActionTerms`."""

    kind: ActionKind
    symbol: str
    ex_date: date
    reason: str
    new_symbol: str | None = None
    new_units: Decimal | None = None
    old_units: Decimal | None = None
    amount: Decimal | None = None
    withholding_percent: Decimal | None = None
    cash_in_lieu_price: Decimal | None = None
    currency: str | None = None
    pay_date: date | None = None

    def build(self, tenant_id: int, action_id: str, effective_at: Timestamp) -> CorporateActionTerms:
        """Return the action under an id."""
        return CorporateActionTerms(
            tenant_id=tenant_id,
            id=action_id,
            kind=self.kind,
            symbol=self.symbol,
            effective_at=effective_at,
            ex_date=self.ex_date.isoformat(),
            new_symbol=self.new_symbol,
            new_units=self.new_units,
            old_units=self.old_units,
            amount=self.amount,
            withholding_percent=self.withholding_percent,
            cash_in_lieu_price=self.cash_in_lieu_price,
            currency=self.currency,
        )


def list_term_errors(draft: ActionDraft) -> list[FieldError]:
    """Return the errors in the terms of an action of that kind."""
    return [FieldError(field, message, "corporate_action") for field, message in _list_errors(draft)]


def _list_errors(draft: ActionDraft) -> Iterator[tuple[str, str]]:
    required, optional = _REQUIRED[draft.kind], _OPTIONAL[draft.kind]
    for name in _TERMS:
        is_given = getattr(draft, name) is not None
        if name in required and not is_given:
            yield name, f"A {draft.kind} needs `{name}`."
        elif is_given and name not in (*required, *optional):
            yield name, f"A {draft.kind} has no `{name}`."
    yield from _list_value_errors(draft)


def _list_value_errors(draft: ActionDraft) -> Iterator[tuple[str, str]]:
    if draft.new_units is not None and draft.new_units == draft.old_units:
        yield "new_units", "Must differ from `old_units`."
    if draft.new_symbol == draft.symbol:
        yield "new_symbol", "Must differ from `symbol`."
    if draft.withholding_percent is not None and draft.withholding_percent > _HUNDRED:
        yield "withholding_percent", "Must be at most 100."
    if draft.pay_date is not None and draft.pay_date < draft.ex_date:
        yield "pay_date", "Must not be before `ex_date`."
