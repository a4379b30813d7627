"""Compare a portfolio with its account at a broker, and keep the issues."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection, Engine

from app.brokers.errors import BrokerUnavailable
from app.brokers.protocol import Broker, HasExecutionCharges
from app.brokers.queries import StoredConnection
from app.brokers.rules.connections import find_account_problem
from app.brokers.rules.values import BrokerEvent, BrokerOrder, Executed
from app.clock import Now
from app.database import set_tenant_scope, unit_of_work
from app.money import format_plain_amount
from app.orders.service.broker_reports.known_fills import exclude_known_fills
from app.reconciliation import queries
from app.reconciliation.queries import ComparedPortfolio
from app.reconciliation.rules.differences import (
    Difference,
    HeldAmount,
    IssueType,
    Severity,
    compare_cash,
    compare_orders,
    compare_positions,
)
from app.reconciliation.service.issue_updates import (
    Figures,
    get_figures,
    insert_resolved_issues,
    resolve_all_issues,
    update_issues,
)
from app.reconciliation.service.missing_charges import MissingCharges

ApplyEvents = Callable[[Sequence[BrokerEvent]], None]
IN_FLIGHT_PERIOD = timedelta(seconds=5)  # the event of a younger fill may still arrive
_MIN_CONFIRMATION_PERIOD = timedelta(seconds=2)


class _BrokerBooks(NamedTuple):
    """The books of the broker: working orders by id, positions by symbol, and cash."""

    orders: Mapping[str, BrokerOrder]
    positions: Mapping[str, HeldAmount]
    cash: Decimal


class Reconciler:
    """Compares accounts. It runs in the session of the connection, which sends nothing meanwhile.

    A fill may occur while both sides are read. Therefore a difference becomes an issue only if a second
    comparison, a few seconds later, finds the same figures.
    """

    def __init__(self, engine: Engine, now: Now) -> None:
        self._engine, self._now = engine, now
        self._missing_charges = MissingCharges(now)
        self._suspected: dict[str, dict[Figures, datetime]] = {}  # first detection, by connection id

    def run(self, stored: StoredConnection, broker: Broker, apply: ApplyEvents) -> bool:
        """Book missed executions once, then compare positions, orders and cash, and update the issues.

        Return whether a difference waits for its confirmation by another comparison. Raises BrokerUnavailable
        or BrokerOutcomeUnknown if the broker does not answer.
        """
        with self._open_transaction(stored) as connection:
            portfolio = queries.find_compared_portfolio(connection, stored.tenant_id, stored.name)
            if portfolio is None:
                resolve_all_issues(connection, stored, self._now())
                return False
        booked_differences, unbooked = self._book_missing(stored, portfolio, broker.list_executions(), apply)
        self._book_charges(stored, portfolio, broker, apply)
        books = _read_broker_books(stored, broker)
        with self._open_transaction(stored) as connection:
            differences = [*unbooked, *self._compare(connection, stored, portfolio, books)]
            confirmed = self._select_confirmed(stored.id, differences)
            insert_resolved_issues(connection, stored, portfolio, booked_differences, self._now())
            update_issues(connection, stored, portfolio, differences, confirmed, self._now())
        return len(confirmed) < len(differences)

    @contextmanager
    def _open_transaction(self, stored: StoredConnection) -> Iterator[Connection]:
        with unit_of_work(self._engine) as connection:
            yield set_tenant_scope(connection, [stored.tenant_id])

    def _book_missing(
        self,
        stored: StoredConnection,
        portfolio: ComparedPortfolio,
        executions: Sequence[Executed],
        apply: ApplyEvents,
    ) -> tuple[list[Difference], list[Difference]]:
        """Book the executions of our orders that are not booked.

        Return the executions that were booked, and those that could not be booked.
        """
        old = [execution for execution in executions if execution.at <= self._now() - IN_FLIGHT_PERIOD]
        ids = {execution.execution_id for execution in old}
        with self._open_transaction(stored) as connection:
            booked_ids = queries.load_booked_execution_ids(connection, stored.tenant_id, stored.broker, ids)
            orders = {execution.order_id for execution in old}
            known_orders = queries.load_known_order_ids(connection, stored.tenant_id, portfolio.id, orders)
            old = exclude_known_fills(
                connection,
                stored.tenant_id,
                [execution for execution in old if execution.order_id in known_orders],
            )
        missing = [execution for execution in old if execution.execution_id not in booked_ids]
        if not missing:
            return [], []
        apply(missing)
        ids = {execution.execution_id for execution in missing}
        with self._open_transaction(stored) as connection:
            booked_ids = queries.load_booked_execution_ids(connection, stored.tenant_id, stored.broker, ids)
        return (
            [
                _build_execution_difference(execution, Severity.INFO)
                for execution in missing
                if execution.execution_id in booked_ids
            ],
            [
                _build_execution_difference(execution, Severity.CRITICAL)
                for execution in missing
                if execution.execution_id not in booked_ids
            ],
        )

    def _book_charges(
        self, stored: StoredConnection, portfolio: ComparedPortfolio, broker: Broker, apply: ApplyEvents
    ) -> None:
        """Book the charges of executions that were not booked yet when the broker reported them."""
        adapter: object = broker
        if not isinstance(adapter, HasExecutionCharges):
            return
        with self._open_transaction(stored) as connection:
            missing = self._missing_charges.list_due(connection, stored, portfolio, adapter)
        if missing:
            apply(missing)

    def _compare(
        self,
        connection: Connection,
        stored: StoredConnection,
        portfolio: ComparedPortfolio,
        broker_books: _BrokerBooks,
    ) -> list[Difference]:
        tenant_id = stored.tenant_id
        current = queries.find_compared_portfolio(connection, tenant_id, stored.name) or portfolio
        known_orders = queries.load_known_order_ids(connection, tenant_id, portfolio.id, broker_books.orders)
        held_amounts = queries.load_held_amounts_by_symbol(connection, tenant_id, portfolio.id)
        return [
            *compare_positions(held_amounts, broker_books.positions),
            *compare_orders(known_orders, broker_books.orders),
            *compare_cash(current.cash, broker_books.cash),
        ]

    def _select_confirmed(self, connection_id: str, differences: Collection[Difference]) -> list[Difference]:
        """Return the differences that an earlier comparison found with the same figures."""
        now, before = self._now(), self._suspected.get(connection_id, {})
        since = {
            get_figures(difference): before.get(get_figures(difference), now) for difference in differences
        }
        self._suspected[connection_id] = since
        return [
            difference
            for difference in differences
            if now - since[get_figures(difference)] >= _MIN_CONFIRMATION_PERIOD
        ]


def _read_broker_books(stored: StoredConnection, broker: Broker) -> _BrokerBooks:
    """Read the account. Raises BrokerUnavailable if the broker returns another account than before."""
    account = broker.get_account()
    problem = find_account_problem(
        is_live=stored.is_live, expected=stored.account, number=account.number, is_paper=account.is_paper
    )
    if problem is not None:
        raise BrokerUnavailable(problem)
    orders = {order.id: order for order in broker.list_open_orders()}
    positions = {
        holding.symbol: HeldAmount(holding.quantity, holding.cost)
        for holding in broker.list_positions()
        if holding.quantity
    }
    return _BrokerBooks(orders, positions, account.cash)


def _build_execution_difference(execution: Executed, severity: Severity) -> Difference:
    quantity = format_plain_amount(execution.quantity)
    figures = f"{execution.execution_id}: {quantity} at {execution.price:f}"
    return Difference(IssueType.MISSING_EXECUTION, severity, None, execution.order_id, None, figures)
