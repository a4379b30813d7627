"""Verify a ledger row that a corporate action booked against the terms of the action."""

from app.ledger.rules.chain import TradeRow
from app.ledger.rules.corporate_actions import ACTION_ROWS, SPLIT, ActionKind, CorporateActionTerms
from app.ledger.rules.verification import Check, Finding


def check_action_row(row: TradeRow, action: CorporateActionTerms | None) -> list[Finding]:
    """Return the findings about a row, given the action that its key names.

    Rows of other kinds without an action have none.
    """
    if action is None:
        expected = "the key of a corporate action"
        is_booked = row.kind in ACTION_ROWS
        return [Finding(Check.ACTION, "idempotency_key", row.idempotency_key, expected)] if is_booked else []
    pairs: list[tuple[str, str, str]] = [("executed_at", row.executed_at, action.effective_at)]
    if row.kind in ACTION_ROWS:
        due_kind = ActionKind.SPLIT if row.kind == SPLIT else ActionKind.SYMBOL_CHANGE
        pairs.append(("kind", due_kind, action.kind))
    findings = [
        Finding(Check.ACTION, name, stored, expected)
        for name, stored, expected in pairs
        if stored != expected
    ]
    if row.symbol not in (action.symbol, action.new_symbol):
        findings.append(Finding(Check.ACTION, "symbol", row.symbol, action.symbol))
    return findings
