"""Verify corporate actions: their terms against the audit log, and dividends against the ledger."""

from collections.abc import Iterator
from decimal import Decimal

from sqlalchemy import Connection

from app.audit.queries.entries import list_actions
from app.audit.rules.actions import ActionDifference, find_differences
from app.audit.rules.entries import AuditValues
from app.corporate_actions import queries
from app.ledger.queries.audit import load_portfolio_row
from app.ledger.queries.corporate_actions import list_action_movements, list_steps, load_actions
from app.ledger.rules.cash import CashKind, CashRow
from app.ledger.rules.corporate_actions import (
    ActionKind,
    CorporateActionTerms,
    compute_dividend,
    replay_to_close,
)
from app.ledger.rules.keys import PortfolioKey, PositionKey
from app.money import ZERO


def verify_corporate_actions(connection: Connection) -> Iterator[ActionDifference]:
    """Yield the differences between corporate actions, the audit log and the booked dividends."""
    stored = {
        (stored_fact["tenant_id"], stored_fact["id"]): stored_fact
        for stored_fact in queries.list_stored_facts(connection)
    }
    expected = _list_expected(connection)
    for tenant_id, action_id in sorted(stored.keys() | expected.keys()):
        location = f"corporate action {action_id} of tenant {tenant_id}"
        stored_fields, expected_fields = (
            stored.get((tenant_id, action_id)),
            expected.get((tenant_id, action_id)),
        )
        if stored_fields is None or expected_fields is None:
            stored_text, due_text = (
                "none" if row is None else "a row" for row in (stored_fields, expected_fields)
            )
            yield ActionDifference(location, "row", stored_text, due_text)
        else:
            yield from find_differences(location, stored_fields, expected_fields)
            yield from _find_dividend_differences(connection, location, tenant_id, action_id)


def _list_expected(connection: Connection) -> dict[tuple[int, str], AuditValues]:
    expected: dict[tuple[int, str], AuditValues] = {}
    for entry in list_actions(connection, "corporate_action."):
        key = (entry.tenant_id, entry.target)
        if entry.action == "corporate_action.created":
            later = {"booked_at": None, "reversed_at": None, "reversal_reason": None}
            expected[key] = entry.after | later | {"created_by": entry.actor, "created_at": entry.at}
        elif entry.action == "corporate_action.booked":
            expected[key]["booked_at"] = entry.at
        else:
            expected[key] |= {"reversed_at": entry.at, "reversal_reason": entry.after["reason"]}
    return expected


def _find_dividend_differences(
    connection: Connection, location: str, tenant_id: int, action_id: str
) -> Iterator[ActionDifference]:
    """Yield the amounts of a dividend that do not follow from the position before its ex-date.

    If a rate converted it, only the withholding can be compared: the rate is not stored.
    """
    action = load_actions(connection, tenant_id, [action_id])[action_id]
    if action.kind is not ActionKind.DIVIDEND:
        return
    by_portfolio: dict[int, list[CashRow]] = {}
    for row in list_action_movements(connection, tenant_id, action_id):
        by_portfolio.setdefault(row.portfolio_id, []).append(row)
    for portfolio_id, rows in by_portfolio.items():
        if load_portfolio_row(connection, tenant_id, portfolio_id).base_currency == action.currency:
            yield from _find_amount_differences(connection, location, action, rows)


def _find_amount_differences(
    connection: Connection, location: str, action: CorporateActionTerms, rows: list[CashRow]
) -> Iterator[ActionDifference]:
    """Yield the first amount of each kind that differs. A reversal has the opposite amount."""
    first = rows[0]
    portfolio_key = PortfolioKey(first.tenant_id, first.portfolio_id)
    products = queries.list_products(connection, *portfolio_key, action.symbol)
    dividends = []
    for name in products:
        steps = list_steps(
            connection, PositionKey(*portfolio_key, action.symbol, name), until=first.trade_sequence
        )
        quantity = replay_to_close(steps, action.effective_at).quantity
        dividends.append(compute_dividend(quantity, action, None))
    expected_amounts = {
        CashKind.DIVIDEND: sum((dividend.gross for dividend in dividends), ZERO),
        CashKind.WITHHOLDING: -sum((dividend.withheld for dividend in dividends), ZERO),
    }
    for kind, amount in expected_amounts.items():
        booked_amounts = [Decimal(row.amount) for row in rows if row.kind == kind]
        if booked_amounts[:1] != ([amount] if amount else []):
            yield ActionDifference(
                location,
                f"{kind} of portfolio {portfolio_key.portfolio_id}",
                str(booked_amounts),
                str(amount),
            )
