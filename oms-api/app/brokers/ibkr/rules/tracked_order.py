"""An order at IBKR with its replacements, and what was reported of it."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from app.brokers.ibkr.rules.reports import FillReport, OrderReport
from app.brokers.protocol import OrderState
from app.brokers.rules.values import BrokerOrder, Canceled, Charged, Executed, Rejected, Replaced
from app.money import ZERO, multiply


class Chain(NamedTuple):
    """The ids of an order and its replacements, oldest first.

    `pending` is a replacement that was requested.
    """

    ids: tuple[str, ...]
    pending: BrokerOrder | None = None


@dataclass(slots=True)
class TrackedOrder:
    """What was reported of an order. `ids` are ours; `reason` is its last remark.

    `venue_id` is TWS's id, 0 if another client of TWS sent the order. `parent_venue_id` is that of the entry
    whose exit it is. `is_waiting` until that entry has filled.
    """

    ids: list[str]
    venue_id: int = 0
    perm_id: int = 0
    parent_venue_id: int = 0
    is_waiting: bool = False
    report: OrderReport | None = None
    is_accepted: bool = False
    is_closed: bool = False
    is_cancel_requested: bool = False
    is_cancel_confirmed: bool = False
    pending: BrokerOrder | None = None
    reported_filled: Decimal = ZERO
    fills: dict[str, FillReport] = field(default_factory=dict)  # by the base of their ids
    owners: dict[str, str] = field(default_factory=dict)  # the order that a fill was reported for
    charges: dict[str, Charged] = field(default_factory=dict)  # by execution id
    end: Canceled | Rejected | None = None
    reason: str | None = None

    @property
    def order_id(self) -> str:
        """Our id of the order as it is now."""
        return self.ids[-1]

    @property
    def filled(self) -> Decimal:
        """The filled quantity."""
        return max(self.reported_filled, sum((fill.quantity for fill in self.fills.values()), ZERO))

    @property
    def has_missing_fills(self) -> bool:
        """Whether IBKR reported a larger filled quantity than its executions add up to."""
        return self.reported_filled > sum((fill.quantity for fill in self.fills.values()), ZERO)

    def list_executions(self, order_id: str | None = None) -> list[Executed]:
        """Return the executions, or those that were reported for one of the ids."""
        return [
            build_execution(self.owners[base], fill)
            for base, fill in self.fills.items()
            if fill.quantity and order_id in {None, self.owners[base]}
        ]

    def list_charges(self) -> list[Charged]:
        """Return the charges of the executions, without those of corrected ones."""
        found = (self.charges.get(fill.execution_id) for fill in self.fills.values() if fill.quantity)
        return [charged for charged in found if charged is not None]

    def build_state(self, order_id: str, portfolio_id: int, at: datetime) -> OrderState | None:
        """Return the state of the order under one of its ids, None if only its executions are known."""
        if self.report is None:
            return None
        order = self.report.build_order(order_id, self.filled, portfolio_id, at)
        if order_id != self.order_id:
            successor = self.ids[self.ids.index(order_id) + 1]
            return OrderState(order, is_open=False, end=Replaced(order_id, successor, at))
        return OrderState(order, not self.is_closed, self.end, is_waiting=self.is_waiting)


def build_execution(order_id: str, fill: FillReport) -> Executed:
    """Return the execution of a fill."""
    value = multiply(fill.quantity, fill.price)
    return Executed(order_id, fill.execution_id, fill.quantity, fill.price, value, fill.at)
