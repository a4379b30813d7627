"""Compare a portfolio with its account at a broker, and keep the issues."""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine

from app.brokers.protocol import Broker
from app.brokers.queries import StoredConnection
from app.brokers.rules.values import BrokerEvent, Executed
from app.clock import Now
from app.database import set_tenant_scope, unit_of_work
from app.money import ZERO, fixed, quantity_text
from app.reconciliation import queries
from app.reconciliation.queries import ComparedPortfolio, Issue
from app.reconciliation.rules.differences import (
    Difference,
    IssueType,
    Severity,
    compare_cash,
    compare_orders,
    compare_positions,
)

ApplyEvents = Callable[[Sequence[BrokerEvent]], None]
IN_FLIGHT = timedelta(seconds=5)  # a fill that is younger may still be reported as an event
_ITSELF = "reconciliation"


class Reconciler:
    """Compares accounts. It runs in the session of the connection, which nothing else sends in meanwhile."""

    def __init__(self, engine: Engine, now: Now) -> None:
        self._engine, self._now = engine, now

    def run(self, stored: StoredConnection, broker: Broker, apply: ApplyEvents) -> None:
        """Book missed executions once, then compare positions, orders and cash, and update the issues.

        Raises BrokerUnavailable or OutcomeOpen if the broker does not answer.
        """
        portfolio = self._find_portfolio(stored)
        if portfolio is None:
            return
        booked = self._book_missing(stored, portfolio, broker.executions(), apply)
        orders = {order.id: order.symbol for order in broker.open_orders()}
        holdings = {one.symbol: one.quantity for one in broker.positions() if one.quantity != ZERO}
        cash = broker.account().cash
        tenant_id = stored.tenant_id
        with unit_of_work(self._engine) as connection:
            set_tenant_scope(connection, [tenant_id])
            current = queries.find_compared_portfolio(connection, tenant_id, stored.name) or portfolio
            known = queries.find_known_orders(connection, tenant_id, portfolio.id, orders)
            differences = [
                *compare_positions(queries.list_quantities(connection, tenant_id, portfolio.id), holdings),
                *compare_orders(known, orders),
                *compare_cash(current.cash, cash),
            ]
            standing = queries.list_standing_issues(connection, tenant_id, stored.name)
            open_issues = [one for one in standing if one.status == "open"]
            ignored = {_get_figures(one) for one in standing if one.status != "open"}
            for issue, changes in self._compare_issues(open_issues, differences):
                queries.update_issue(connection, issue, changes)
            subjects = {(one.type, one.symbol, one.order_id) for one in open_issues}
            for difference in differences:
                if difference.subject not in subjects and _get_figures(difference) not in ignored:
                    queries.insert_issue(connection, self._build(stored, portfolio, difference))
            for difference in booked:
                queries.insert_issue(connection, self._build(stored, portfolio, difference, is_fixed=True))

    def _find_portfolio(self, stored: StoredConnection) -> ComparedPortfolio | None:
        with unit_of_work(self._engine) as connection:
            set_tenant_scope(connection, [stored.tenant_id])
            return queries.find_compared_portfolio(connection, stored.tenant_id, stored.name)

    def _book_missing(
        self,
        stored: StoredConnection,
        portfolio: ComparedPortfolio,
        executions: Sequence[Executed],
        apply: ApplyEvents,
    ) -> list[Difference]:
        """Book the executions of our orders that are not booked. Return them as differences."""
        old = [one for one in executions if one.at <= self._now() - IN_FLIGHT]
        with unit_of_work(self._engine) as connection:
            set_tenant_scope(connection, [stored.tenant_id])
            ids = {one.execution_id for one in old}
            booked = queries.find_booked(connection, stored.tenant_id, stored.broker, ids)
            orders = {one.order_id for one in old}
            ours = queries.find_known_orders(connection, stored.tenant_id, portfolio.id, orders)
        missing = [one for one in old if one.execution_id not in booked and one.order_id in ours]
        apply(missing)
        return [
            Difference(
                IssueType.MISSING_EXECUTION, Severity.INFO, None, one.order_id, None,
                f"{one.execution_id}: {quantity_text(fixed(one.quantity))} at {one.price:f}",
            )
            for one in missing
        ]  # fmt: skip

    def _compare_issues(
        self, open_issues: Sequence[Issue], differences: Sequence[Difference]
    ) -> list[tuple[Issue, dict[str, Any]]]:
        """Return the changes of open issues: seen again with their figures of now, or resolved by itself."""
        now, found = self._now(), {one.subject: one for one in differences}
        changes: list[tuple[Issue, dict[str, Any]]] = []
        for issue in open_issues:
            again = found.get((issue.type, issue.symbol, issue.order_id))
            if again is None:
                changes.append((issue, build_resolution(now, _ITSELF, "gone", "Both sides agree again.")))
            else:
                changes.append((issue, {"seen_at": now, "ours": again.ours, "theirs": again.theirs}))
        return changes

    def _build(
        self,
        stored: StoredConnection,
        portfolio: ComparedPortfolio,
        difference: Difference,
        *,
        is_fixed: bool = False,
    ) -> Issue:
        now = self._now()
        fields: dict[str, Any] = dict.fromkeys(("action", "reason", "resolved_at", "resolved_by"))
        fields["status"] = "open"
        if is_fixed:
            fields = build_resolution(now, _ITSELF, "book_missing", "The execution was booked once.")
        return Issue(
            tenant_id=stored.tenant_id, id=f"ri_{secrets.token_hex(12)}", connection=stored.name,
            portfolio_id=portfolio.id, type=difference.type.value, severity=difference.severity.value,
            symbol=difference.symbol, order_id=difference.order_id, ours=difference.ours,
            theirs=difference.theirs, owner=None, detected_at=now, seen_at=now, **fields,
        )  # fmt: skip


def _get_figures(one: Issue | Difference) -> tuple[str | None, ...]:
    """Return what identifies an ignored difference: other figures are another one."""
    return (str(one.type), one.symbol, one.order_id, one.ours, one.theirs)


def build_resolution(now: datetime, actor: str, action: str, reason: str) -> dict[str, Any]:
    """Return the columns of a resolved issue."""
    return {
        "status": "resolved",
        "action": action,
        "reason": reason,
        "resolved_at": now,
        "resolved_by": actor,
    }
