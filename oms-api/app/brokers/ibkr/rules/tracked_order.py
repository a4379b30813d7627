"""An order at IBKR with its replacements, and its reported state."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from app.brokers.ibkr.rules.messages import is_group_filled
from app.brokers.ibkr.rules.reports import IbkrFillReport, IbkrOrderReport
from app.brokers.protocol import OrderState
from app.brokers.rules.values import (
    BrokerOrder,
    Canceled,
    Charged,
    Executed,
    Expired,
    Rejected,
    Replaced,
    UnfilledCanceled,
)
from app.money import ZERO, multiply

MAX_READINGS_WITHOUT_FILLS = 5  # then the end of an order is reported without its missing fills
ENDED_BY_BROKER = "IBKR canceled the order."
PAIR_FILLED = "The other order of the pair has filled."


class ReplacementChain(NamedTuple):
    """The ids of an order and its replacements, oldest first.

    `pending` is a replacement that was requested.
    """

    ids: tuple[str, ...]
    pending: BrokerOrder | None = None


class HeldEnd(NamedTuple):
    """The end of an order, which is reported after its fills: the order that replaces it depends on them.

    `is_filled_known` is False until TWS reported the filled quantity, or the executions were read since.
    `readings` counts how often they were read.
    """

    event: Canceled | Expired | UnfilledCanceled
    is_filled_known: bool
    readings: int = 0

    def count_reading(self) -> "HeldEnd":
        """Return the end after the executions were read once more."""
        return self._replace(is_filled_known=True, readings=self.readings + 1)


@dataclass(slots=True)
class IbkrTrackedOrder:
    """The reported state of an order. `ids` are ours; `reason` is its last remark.

    `venue_id` is TWS's id, 0 if another client of TWS sent the order. `parent_venue_id` is the id of the
    entry if the order is an exit, and `is_waiting` is true until that entry has filled.
    """

    ids: list[str]
    venue_id: int = 0
    perm_id: int = 0
    parent_venue_id: int = 0
    is_waiting: bool = False
    report: IbkrOrderReport | None = None
    is_accepted: bool = False
    is_closed: bool = False
    is_cancel_requested: bool = False
    is_cancel_confirmed: bool = False
    pending: BrokerOrder | None = None
    reported_filled: Decimal = ZERO
    fills: dict[str, IbkrFillReport] = field(default_factory=dict)  # by the base of their ids
    order_ids_by_execution: dict[str, str] = field(
        default_factory=dict
    )  # the order that a fill was reported for
    charges: dict[str, Charged] = field(default_factory=dict)  # by execution id
    held_end: HeldEnd | None = None
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

    @property
    def is_ending(self) -> bool:
        """Whether the order has ended, even if its end waits for fills."""
        return self.is_closed or self.held_end is not None

    @property
    def must_wait(self) -> bool:
        """Whether the end of the order waits for fills."""
        held_end = self.held_end
        if held_end is None or held_end.readings >= MAX_READINGS_WITHOUT_FILLS:
            return False
        return not held_end.is_filled_known or self.has_missing_fills

    def hold_end(self, at: datetime, *, is_filled_known: bool) -> None:
        """Note that the order ends: canceled on request, at the time it was good for, or by IBKR."""
        previous, event = self.held_end, self._build_end(at)
        is_known = is_filled_known or (previous is not None and previous.is_filled_known)
        self.held_end = HeldEnd(event, is_known, 0 if previous is None else previous.readings)
        self.is_cancel_confirmed = True

    def close(self, end: Canceled | UnfilledCanceled | Rejected | None) -> None:
        """Note the end of the order, None if it has filled."""
        self.is_closed, self.is_waiting, self.held_end = True, False, None
        self.end = Canceled(end.order_id, end.at) if isinstance(end, UnfilledCanceled) else end

    def build_rejection(self, reason: str, at: datetime) -> UnfilledCanceled | Rejected:
        """Return the end of an order that TWS did not take. A pair that has filled needs it no more."""
        if is_group_filled(reason):
            return UnfilledCanceled(self.order_id, PAIR_FILLED, at)
        return Rejected(self.order_id, reason, at)

    def _build_end(self, at: datetime) -> Canceled | Expired | UnfilledCanceled:
        if self.is_cancel_requested:
            return Canceled(self.order_id, at)
        expires_at = None if self.report is None else self.report.expires_at
        if expires_at is not None and at >= expires_at:
            return Expired(self.order_id, at)
        return UnfilledCanceled(self.order_id, self.reason or ENDED_BY_BROKER, at)

    def list_executions(self, order_id: str | None = None) -> list[Executed]:
        """Return all executions, or the executions that were reported for one of the ids."""
        return [
            build_execution(self.order_ids_by_execution[base], fill)
            for base, fill in self.fills.items()
            if fill.quantity and order_id in {None, self.order_ids_by_execution[base]}
        ]

    def list_charges(self) -> list[Charged]:
        """Return the charges of the executions, without those of corrected ones."""
        charges = (self.charges.get(fill.execution_id) for fill in self.fills.values() if fill.quantity)
        return [charged for charged in charges if charged is not None]

    def build_state(self, order_id: str, portfolio_id: int, at: datetime) -> OrderState | None:
        """Return the state of the order under one of its ids, None if only its executions are known."""
        if self.report is None:
            return None
        order = self.report.build_order(order_id, self.filled, portfolio_id, at)
        if order_id != self.order_id:
            successor = self.ids[self.ids.index(order_id) + 1]
            return OrderState(
                order, is_open=False, end=Replaced(order_id, successor, at, self.report.quantity)
            )
        return OrderState(order, not self.is_closed, self.end, is_waiting=self.is_waiting)


def build_execution(order_id: str, fill: IbkrFillReport) -> Executed:
    """Return the execution of a fill."""
    value = multiply(fill.quantity, fill.price)
    return Executed(order_id, fill.execution_id, fill.quantity, fill.price, value, fill.at)
