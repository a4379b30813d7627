"""The orders of a batch: loaded under the portfolios' locks, changed in memory, and written together."""

from collections.abc import Collection, Iterable, Set
from typing import Any

import orjson

from app.database.bulk import BulkWrite
from app.events.rules import NewEvent
from app.ledger.rules.keys import PortfolioKey, SymbolProductKey
from app.ledger.service.batch import LedgerBatch
from app.ledger.service.portfolio_state import renew_open_orders_version
from app.orders.errors import NoSuchOrder
from app.orders.queries import orders as queries
from app.orders.queries.executions import insert_executions
from app.orders.queries.orders import OrderColumnValue
from app.orders.rules.contingency import PARENT_ROLES
from app.orders.rules.event_payloads import add_event_fields, build_shared_fields, get_event_type
from app.orders.rules.rows import ExecutionRow, OrderEvent
from app.orders.rules.states import require_transition
from app.orders.rules.values import EXPOSURE_STATUSES, FINAL_STATUSES, Order, OrderKey, Status, replace_fields
from app.orders.service.batch_state.open_orders import PortfolioOpenOrders
from app.timestamps import Timestamp

_UNPUBLISHED_FIELDS = frozenset({"accepted_at"})  # fields that no payload has


class OrderStore:
    """The open orders of the locked portfolios, other orders that were loaded, and all their changes."""

    def __init__(self, ledger: LedgerBatch) -> None:
        self._ledger = ledger
        self._connection = ledger.connection
        # Of locked portfolios. The cache has them too: `_store_change` copies them before it changes them.
        self.open_orders: dict[PortfolioKey, PortfolioOpenOrders] = {}
        self._copied: set[PortfolioKey] = set()
        # By tenant id and order id; plain tuples are faster than `OrderKey`.
        self._orders: dict[tuple[int, str], Order] = {}
        self._new: dict[tuple[int, str], None] = {}
        self._read: set[tuple[str, OrderColumnValue]] = set()  # columns, and values for which rows were read
        self._changed: dict[tuple[int, str], Order] = {}  # the orders before their first change
        self._last_published: Order | None = None  # the order of the last event
        self._last_payload: dict[str, Any] = {}  # of that event, which the next one may reuse
        self.events: list[OrderEvent] = []  # history rows that are not written yet
        self.executions: list[ExecutionRow] = []  # not written yet
        self.change_count = 0  # the number of changes
        # The positions that changed since the exposures were computed.
        self.positions_to_revalue: dict[PortfolioKey, set[SymbolProductKey]] = {}

    @property
    def portfolio_keys(self) -> Set[PortfolioKey]:
        """The locked portfolios."""
        return self.open_orders.keys()

    def list_open_orders(self, portfolio_key: PortfolioKey) -> Iterable[Order]:
        """Return the open orders of a portfolio, oldest first."""
        return list(self.open_orders[portfolio_key].orders.values())

    def list_symbols(self, portfolio_key: PortfolioKey) -> Iterable[str]:
        """Return the symbols in which a portfolio has open orders."""
        return [symbol for symbol, ids in self.open_orders[portfolio_key].by_symbol.items() if ids]

    def list_open_orders_of_symbol(self, portfolio_key: PortfolioKey, symbol: str) -> list[Order]:
        """Return the open orders of a portfolio in a symbol."""
        open_orders = self.open_orders[portfolio_key]
        return [open_orders.orders[order_id] for order_id in open_orders.by_symbol.get(symbol, ())]

    def add_loaded(self, orders: Iterable[Order]) -> None:
        """Add orders that were read under the locks."""
        for order in orders:
            self._orders.setdefault(order.key, order)

    def load_orders(self, keys: Collection[OrderKey]) -> list[Order]:
        """Return orders that exist in locked portfolios. Read those from the database that are not open."""
        closed = [key for key in keys if key not in self._orders and not self._find_open(*key)]
        self.add_loaded(queries.load_orders_by_id(self._connection, sorted(closed)))
        return [self.get(*key) for key in keys]

    def load_parents(self, orders: Iterable[Order]) -> None:
        """Load the parents of orders."""
        self.load_orders({OrderKey(order.tenant_id, order.parent_id) for order in orders if order.parent_id})

    def load_relatives(self, orders: Iterable[Order]) -> None:
        """Load the groups, the child orders and the parents of orders."""
        related_orders = [order for order in orders if order.group_id or order.role in PARENT_ROLES]
        groups = {(order.tenant_id, order.group_id) for order in related_orders if order.group_id}
        self._read_relatives("group_id", {OrderColumnValue(*group) for group in groups})
        parents = {(order.tenant_id, order.id) for order in related_orders if order.role in PARENT_ROLES}
        parents |= {(order.tenant_id, order.parent_id) for order in related_orders if order.parent_id}
        self._read_relatives("parent_id", {OrderColumnValue(*parent) for parent in parents})
        self.load_parents(related_orders)

    def _read_relatives(self, column: str, names: Collection[OrderColumnValue]) -> None:
        """Read the orders that have one of the names in `column`, unless they were read before.

        An order of this batch has no relatives in the database.
        """
        unread = {name for name in names if (column, name) not in self._read and name not in self._new}
        if unread:
            self._read |= {(column, name) for name in unread}
            self.add_loaded(queries.load_orders_by_column(self._connection, column, sorted(unread)))

    def get(self, tenant_id: int, order_id: str) -> Order:
        """Return an order of a locked portfolio as the batch sees it. Raises NoSuchOrder."""
        order = self.find(tenant_id, order_id)
        if order is None:
            raise NoSuchOrder(order_id)
        return order

    def find(self, tenant_id: int, order_id: str) -> Order | None:
        """Return an order of a locked portfolio, None if there is none."""
        read_order = self._orders.get((tenant_id, order_id))
        if read_order is not None:
            return read_order
        if (open_order := self._find_open(tenant_id, order_id)) is not None:
            return open_order
        name = ("id", OrderColumnValue(tenant_id, order_id))
        if name not in self._read:
            self._read.add(name)
            self.add_loaded(queries.load_orders_by_id(self._connection, [OrderKey(tenant_id, order_id)]))
        return self._orders.get((tenant_id, order_id))

    def _find_open(self, tenant_id: int, order_id: str) -> Order | None:
        for portfolio_key, open_orders in self.open_orders.items():
            if portfolio_key.tenant_id == tenant_id and order_id in open_orders.orders:
                return open_orders.orders[order_id]
        return None

    def is_new(self, key: OrderKey) -> bool:
        """Return whether the batch created the order."""
        return key in self._new

    def get_current(self, order: Order) -> Order:
        """Return the current state of the order in the batch."""
        return self._orders.get((order.tenant_id, order.id), order)

    def find_parent(self, order: Order) -> Order | None:
        """Return the order's parent, which is in the same portfolio, or None."""
        return None if order.parent_id is None else self.find(order.tenant_id, order.parent_id)

    def list_replacement_chain(self, order: Order) -> list[Order]:
        """Return the order with its predecessors and successors by replacement, the newest first."""
        while order.replaced_by:
            order = self.get(order.tenant_id, order.replaced_by)
        chain = [order]
        while chain[-1].replaces:
            chain.append(self.get(order.tenant_id, chain[-1].replaces))
        return chain

    def list_children(self, parent: Order) -> list[Order]:
        """Return the child orders of the order, including new ones."""
        return self._find_relatives("parent_id", parent, parent.id)

    def list_group(self, order: Order) -> list[Order]:
        """Return the orders of the order's group, including new ones."""
        return self._find_relatives("group_id", order, order.group_id or "")

    def _find_relatives(self, column: str, order: Order, name: str) -> list[Order]:
        """Return the orders of the order's portfolio that have `name` in `column`."""
        tenant_id = order.tenant_id
        self._read_relatives(column, [OrderColumnValue(tenant_id, name)])
        related = dict(self.open_orders[order.portfolio_key].orders)
        related.update({order.id: order for order in self._orders.values() if order.tenant_id == tenant_id})
        return [related_order for related_order in related.values() if getattr(related_order, column) == name]

    def add(self, order: Order, actor: str, reason: str | None = None) -> Order:
        """Add a new order and the first row of its history."""
        self._new[order.tenant_id, order.id] = None
        return self._record_status(order, None, order.status, order.created_at, actor, reason=reason)

    def change_status(self, order: Order, to: Status, at: Timestamp, actor: str, **fields: Any) -> Order:
        """Change the order's status. `fields` are fields of the history row and changed fields of the order.

        Raises InvalidTransition.
        """
        require_transition(order.id, order.status, to)
        return self._record_status(order, order.status, to, at, actor, **fields)

    def record_change(self, order: Order, at: Timestamp, actor: str, **fields: Any) -> Order:
        """Change an order but not its status, and add an order event. `fields`: see `change_status`."""
        return self._record_status(order, order.status, order.status, at, actor, **fields)

    def update_fields(self, order: Order, **fields: Any) -> Order:
        """Change fields of an order without a history row, such as a trail level or a link."""
        altered = replace_fields(order, **fields)
        self._store_change(altered, order)
        return altered

    def add_execution(self, row: ExecutionRow) -> None:
        """Add an execution."""
        self.change_count += 1
        self.executions.append(row)

    def add_event(self, tenant_id: int, kind: str, payload: dict[str, Any], at: Timestamp) -> None:
        """Add an event to the outbox. The first value of `payload` must be the id of the event's object."""
        self.change_count += 1
        subject = str(next(iter(payload.values())))
        if kind.startswith("approval."):
            subject = f"{subject} {kind}"  # a separate row
        self._ledger.add_event(NewEvent(tenant_id, kind, orjson.dumps(payload).decode(), at, subject))

    @property
    def created(self) -> list[Order]:
        """The orders of this batch, as they are now."""
        return [self._orders[key] for key in self._new]

    @property
    def changed(self) -> list[Order]:
        """The orders that the batch created or changed, as they are after it."""
        return [self._orders[key] for key in self._changed]

    def renew_open_orders_versions(self) -> None:
        """Set a new version of the open orders of the portfolios in which they changed.

        An order that was created and ended in this batch changes no portfolio's open orders.
        """
        for portfolio_key in {self._orders[key].portfolio_key for key in self._changed if self._is_kept(key)}:
            version = renew_open_orders_version(self._ledger.get_portfolio(portfolio_key).open_orders_version)
            self.open_orders[portfolio_key].version = version
            self._ledger.set_open_orders_version(portfolio_key, version)

    def _is_kept(self, key: tuple[int, str]) -> bool:
        """Return whether the order is open, or was before the batch."""
        return key not in self._new or self._orders[key].status not in FINAL_STATUSES

    def set_row_version(self, version: str | None) -> None:
        """Set the version of the rows of the changed orders, after they were written."""
        for order in self.changed:
            self.open_orders[order.portfolio_key].set_row_version(order.id, version)

    def list_writes(self) -> list[BulkWrite]:
        """Return the statements that write the batch's orders."""
        changed_keys = [key for key in self._changed if key not in self._new]
        return [
            queries.insert_orders([self._orders[key] for key in self._new]),
            queries.update_orders([(self._changed[key], self._orders[key]) for key in changed_keys]),
            queries.insert_order_events(self.events),
            insert_executions(self.executions),
        ]

    def _record_status(
        self,
        order: Order,
        from_status: Status | None,
        to_status: Status,
        at: Timestamp,
        actor: str,
        *,
        reason: str | None = None,
        broker_reason: str | None = None,
        execution_id: str | None = None,
        request_key: str | None = None,
        **fields: Any,
    ) -> Order:
        count = order.event_count + 1
        updated = replace_fields(order, status=to_status, event_count=count, updated_at=at, **fields)
        portfolio_key = self._store_change(updated, order)
        event = OrderEvent(
            updated.tenant_id,
            updated.id,
            sequence=count,
            from_status=from_status,
            to_status=to_status,
            at=at,
            actor=actor,
            reason=reason,
            broker_reason=broker_reason,
            execution_id=execution_id,
            request_key=request_key,
        )
        self.events.append(event)
        if order is not self._last_published or not fields.keys() <= _UNPUBLISHED_FIELDS:
            self._last_payload = build_shared_fields(updated, self._ledger.get_portfolio(portfolio_key).name)
        self._last_published = updated
        execution = self.executions[-1] if execution_id is not None else None
        text = orjson.dumps(add_event_fields(self._last_payload, updated, event, execution)).decode()
        self._ledger.add_event(NewEvent(updated.tenant_id, get_event_type(event), text, at, updated.id))
        return updated

    def _store_change(self, order: Order, before: Order) -> PortfolioKey:
        """Store a changed order, and return the key of its portfolio."""
        self.change_count += 1
        key, portfolio_key = (order.tenant_id, order.id), order.portfolio_key
        is_counted = order.status in EXPOSURE_STATUSES or before.status in EXPOSURE_STATUSES
        if is_counted or order.filled_quantity != before.filled_quantity:
            self.positions_to_revalue.setdefault(portfolio_key, set()).add(order.symbol_product_key)
        self._orders[key] = order
        self._changed.setdefault(key, before)
        if portfolio_key not in self._copied:  # change a copy: the cache keeps the committed open orders
            self._copied.add(portfolio_key)
            self.open_orders[portfolio_key] = self.open_orders[portfolio_key].copy()
        self.open_orders[portfolio_key].put(order)
        return portfolio_key
