"""Verify the orders: their histories, fills, trades and events."""

from collections.abc import Callable, Iterator
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from app.ledger.rules.verification import Finding
from app.ledger.service.event_verification import list_all_portfolio_names
from app.ledger.service.verification_result import VerificationResult
from app.orders.queries import audit
from app.orders.queries.audit import BookedExecution
from app.orders.rules.approvals import loses_fills
from app.orders.rules.event_verification import (
    Executions,
    PublishedEvent,
    find_event_differences,
    find_issue_differences,
    list_parent_ids,
    list_portfolio_names,
)
from app.orders.rules.execution_verification import (
    ExecutionHistoryNote,
    find_execution_note_differences,
    find_trade_differences,
    list_execution_notes,
)
from app.orders.rules.rows import ExecutionRow, OrderEvent
from app.orders.rules.values import Order, OrderKey
from app.orders.rules.verification import (
    FilledAmounts,
    OrderCheck,
    check_carried,
    check_fills,
    check_history,
    check_overfill,
    check_quantity,
    check_terms,
    get_filled_amounts,
)


class _ChainLink(NamedTuple):
    """An order of a replacement chain, with its executions and the history rows that they caused."""

    order: Order
    filled: FilledAmounts
    executions: list[ExecutionRow]
    execution_notes: list[ExecutionHistoryNote]


class _Chains:
    """Replacement chains. The last order of a chain includes the fills of the others."""

    def __init__(self) -> None:
        self._links: dict[OrderKey, _ChainLink] = {}

    def add(self, link: _ChainLink) -> None:
        self._links[link.order.key] = link

    def iterate_chains(self) -> Iterator[list[_ChainLink]]:
        """Yield each chain, the last order first."""
        for link in self._links.values():
            if link.order.replaced_by is None:
                yield [link, *self.iterate_predecessors(link.order)]

    def iterate_predecessors(self, order: Order) -> Iterator[_ChainLink]:
        """Yield the predecessors of an order, the last one first."""
        visited_ids = {order.id}
        link = self._links.get(OrderKey(order.tenant_id, order.replaces or ""))
        while link is not None and link.order.id not in visited_ids:
            yield link
            visited_ids.add(link.order.id)
            link = self._links.get(OrderKey(order.tenant_id, link.order.replaces or ""))

    def has_path(self, tenant_id: int, start: str, end: str | None) -> bool:
        """Return whether replacements lead from the order `start` to `end`."""
        visited_ids: set[str] = set()
        current: str | None = start
        while current is not None and current not in visited_ids:
            if current == end:
                return True
            visited_ids.add(current)
            link = self._links.get(OrderKey(tenant_id, current))
            current = link.order.replaced_by if link else None
        return False


class _OrderVerification:
    """One pass over the orders, each with its rows of the other tables."""

    def __init__(self, connection: Connection, result: VerificationResult) -> None:
        self._result = result
        self._connection = connection
        self._history = _RowsByOrder(audit.iterate_history(connection), self._add_orphan_finding)
        self._executions = _RowsByOrder(audit.iterate_executions(connection), self._add_orphan_finding)
        self._events = _RowsByOrder(self._iterate_published_events(), self._add_orphan_finding)
        self._chains = _Chains()
        self._list_names = list_all_portfolio_names(connection)
        self._parents: list[tuple[Order, str | None]] = []  # orders with an event that names another parent

    def run(self) -> None:
        """Check every order, then the chains and links that need all orders."""
        for order in audit.iterate_orders(self._connection):
            self._check_order(order)
        for group in (self._history, self._executions, self._events):
            group.finish()
        for links in self._chains.iterate_chains():
            self._check_chain(links)
        for order, parent_id in self._parents:
            if parent_id is None or not self._chains.has_path(order.tenant_id, parent_id, order.parent_id):
                self._add_findings(
                    order, [Finding(OrderCheck.EVENT, "parent_id", order.parent_id, parent_id)]
                )
        for tenant_id, trade_id, order_id in audit.iterate_unexecuted_trades(self._connection):
            finding = Finding(OrderCheck.TRADE, "order_id", order_id, "an execution that names the trade")
            self._result.add_findings(f"trade {trade_id} of tenant {tenant_id}", [finding])

    def _check_chain(self, links: list[_ChainLink]) -> None:
        filled_amounts = FilledAmounts()
        for link in links:
            filled_amounts = filled_amounts.add(link.filled)
        self._add_findings(links[0].order, _check_filled_amounts(links[0].order, filled_amounts, links))
        for link, before in pairwise(links):
            self._add_findings(link.order, check_carried(link.order, before.order))

    def _check_order(self, order: Order) -> None:
        key = order.key
        history: list[OrderEvent] = self._history.read_rows(key)
        executions: list[BookedExecution] = self._executions.read_rows(key)
        events: list[PublishedEvent] = self._events.read_rows(key)
        filled_amounts = FilledAmounts()
        for execution in executions:
            filled_amounts = filled_amounts.add(get_filled_amounts(execution.row))
            self._add_findings(order, list(find_trade_differences(order, execution.row, execution.trade)))
        findings = check_history(order, history) + check_quantity(order) + check_terms(order, history)
        link = _ChainLink(
            order, filled_amounts, [execution.row for execution in executions], list_execution_notes(history)
        )
        is_without_fills = loses_fills(order, [event.to_status for event in history])
        if not is_without_fills and (order.replaces or order.replaced_by):
            self._chains.add(link)
        else:
            findings += _check_filled_amounts(order, filled_amounts, [link])
        findings += find_event_differences(order, history, events, self._collect_executions(link))
        if order.replaces is None or is_without_fills:
            findings += check_carried(order, None)
        findings += self._check_names(order, events)
        findings += find_issue_differences(link.executions, events)
        other_parents = list_parent_ids(events) - {order.parent_id}
        self._parents += [(order, parent_id) for parent_id in other_parents]
        self._add_findings(order, findings)
        checked = self._result.checked
        checked.update((OrderCheck.HISTORY, OrderCheck.QUANTITY, OrderCheck.FILLS))
        checked[OrderCheck.TRADE] += len(executions)
        checked[OrderCheck.EVENT] += len(events)

    def _check_names(self, order: Order, events: list[PublishedEvent]) -> list[Finding]:
        portfolio_names = self._list_names.get(order.portfolio_key, set())
        unknown = list_portfolio_names(events) - portfolio_names if portfolio_names else set()
        expected = " or ".join(sorted(portfolio_names))
        return [Finding(OrderCheck.EVENT, "portfolio_name", name, expected) for name in sorted(unknown)]

    def _collect_executions(self, link: _ChainLink) -> Executions:
        """Return the executions that may have changed an order: its own and its predecessors' late ones."""
        links = [link, *self._chains.iterate_predecessors(link.order)] if link.execution_notes else [link]
        return {row.execution_id: row for link in links for row in link.executions}

    def _iterate_published_events(self) -> Iterator[PublishedEvent]:
        for event_id, tenant_id, kind, payload, at in audit.iterate_published_events(self._connection):
            order_payload = _parse_payload(payload)
            if order_payload is None:
                finding = Finding(
                    OrderCheck.EVENT, "payload", payload, "an order id and the fields of its event"
                )
                self._result.add_findings(f"event {event_id}", [finding])
            else:
                yield PublishedEvent(event_id, tenant_id, order_payload["order_id"], kind, order_payload, at)

    def _add_orphan_finding(self, row: Any) -> None:
        field = {OrderEvent: "order_events", BookedExecution: "executions", PublishedEvent: "events"}[
            type(row)
        ]
        check = OrderCheck.EVENT if isinstance(row, PublishedEvent) else OrderCheck.HISTORY
        finding = Finding(check, "order_id", row.order_id, f"an order: a row of {field} names it")
        self._result.add_findings(f"order {row.order_id} of tenant {row.tenant_id}", [finding])

    def _add_findings(self, order: Order, findings: list[Finding]) -> None:
        if findings:
            tenant = "" if order.tenant_id == 1 else f" of tenant {order.tenant_id}"
            self._result.add_findings(f"order {order.id}{tenant}", findings)


def verify_orders(connection: Connection, result: VerificationResult) -> None:
    """Check every order. `connection` must read one consistent snapshot."""
    _OrderVerification(connection, result).run()


class _RowsByOrder:
    """Rows sorted by order, read one order at a time.

    `skipped` receives the first row of each group that belongs to no order.
    """

    def __init__(self, rows: Iterator[Any], skipped: Callable[[Any], None]) -> None:
        self._groups = groupby(rows, lambda row: (row.tenant_id, row.order_id))
        self._skipped = skipped
        self._next = next(self._groups, None)

    def read_rows(self, key: OrderKey) -> list[Any]:
        """Return the rows of the order. Keys must be given in ascending order."""
        while self._next is not None and self._next[0] < key:
            self._skip_group(self._next[1])
        if self._next is None or self._next[0] != key:
            return []
        rows = list(self._next[1])
        self._next = next(self._groups, None)
        return rows

    def finish(self) -> None:
        """Skip the remaining rows."""
        while self._next is not None:
            self._skip_group(self._next[1])

    def _skip_group(self, rows: Iterator[Any]) -> None:
        self._skipped(next(rows))
        self._next = next(self._groups, None)


def _check_filled_amounts(
    order: Order, filled_amounts: FilledAmounts, links: list[_ChainLink]
) -> list[Finding]:
    """Return the findings about an order's filled amounts, given its chain."""
    rows = [row for link in links for row in link.executions]
    execution_notes = [event for link in links for event in link.execution_notes]
    findings = check_fills(order, filled_amounts) + check_overfill(order, filled_amounts)
    return findings + list(find_execution_note_differences(rows, execution_notes))


def _parse_payload(payload: str) -> dict[str, Any] | None:
    """Return the payload of an order's event, None if it is malformed. The order id must come first."""
    try:
        parsed = orjson.loads(payload)
    except ValueError:
        return None
    return (
        parsed if payload.startswith(audit.ORDER_ID_PREFIX) and isinstance(parsed["order_id"], str) else None
    )
