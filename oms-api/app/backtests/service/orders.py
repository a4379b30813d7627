"""The orders of a backtest: their state, and the forms that strategies, risk checks and the market take."""

from datetime import datetime
from decimal import Decimal

from app.brokers.rules.values import BrokerOrder, OrderType, TimeInForce
from app.instruments.rules import Instrument
from app.ledger.rules.accounting import Side
from app.money import ZERO
from app.orders.rules.split_adjustments import RestatedOrder
from app.orders.rules.states import require_transition
from app.orders.rules.values import FINAL_STATUSES, Order, Status, Ticket
from app.risk.rules.values import CandidateOrder, WorkingOrder
from app.timestamps import BEFORE_ALL
from slackoms_strategy.values import OrderState, OrderStatus
from slackoms_strategy.values import OrderType as StrategyOrderType
from slackoms_strategy.values import Side as StrategySide
from slackoms_strategy.values import TimeInForce as StrategyTime

_STATUSES: dict[Status, OrderStatus] = {Status(status.value): status for status in OrderStatus}
_SIDES = {side: StrategySide(side) for side in Side}
_MARKET_SIDES: dict[str, Side] = {side.value: side for side in Side}
_TYPES = {kind: StrategyOrderType(kind) for kind in OrderType}
_TIMES = {TimeInForce(time.value): time for time in StrategyTime}


class BacktestOrder:
    """An order. Its status moves along the table of `orders.rules.states`.

    `day`, `day_quantity` and `day_value` are the fills of its last trading day, which charges depend on.
    `parent_id` is the entry of an exit. `ends_at` is when it expires.
    `is_square_off` marks an order that closes an intraday position.
    """

    __slots__ = (
        "accepted_at", "created_at", "day", "day_quantity", "day_value", "ends_at", "filled_quantity",
        "filled_value", "group", "id", "instrument", "is_square_off", "is_triggered", "parent_id",
        "product", "quantity", "reason", "side", "status", "ticket", "trail_level", "updated_at",
    )  # fmt: skip

    def __init__(
        self, order_id: str, ticket: Ticket, instrument: Instrument, quantity: Decimal, at: int,
        parent_id: str | None = None,
    ) -> None:  # fmt: skip
        self.id, self.ticket, self.instrument, self.quantity = order_id, ticket, instrument, quantity
        self.side, self.product = _MARKET_SIDES[ticket.side], ticket.product
        self.created_at = self.updated_at = at
        self.status = Status.INITIALIZED
        self.filled_quantity = self.filled_value = ZERO
        self.day: object = None
        self.day_quantity = self.day_value = ZERO
        self.is_triggered = self.is_square_off = False
        self.trail_level: Decimal | None = None
        self.reason: str | None = None
        self.parent_id = parent_id
        self.group = None if parent_id is None else f"{parent_id}-exits"
        self.accepted_at: datetime | None = None
        self.ends_at: datetime | None = None

    @property
    def strategy_side(self) -> StrategySide:
        """The side as a strategy sees it."""
        return _SIDES[self.side]

    @property
    def has_exits(self) -> bool:
        """Whether the order asks for exits."""
        return self.ticket.take_profit is not None or self.ticket.stop_loss is not None

    @property
    def is_open(self) -> bool:
        """Whether the order can still fill."""
        return self.status not in FINAL_STATUSES

    @property
    def leaves(self) -> Decimal:
        """The quantity that can still fill."""
        return self.quantity - self.filled_quantity

    def change_status(self, status: Status, at: int, reason: str | None = None) -> None:
        """Change the status. Raises InvalidTransition if the table of states does not allow it."""
        self.status = require_transition(self.id, self.status, status)
        self.updated_at = at
        self.reason = reason or self.reason

    def build_state(self) -> OrderState:
        """Return the order as a strategy sees it."""
        ticket = self.ticket
        return OrderState(
            self.id, ticket.symbol, _SIDES[self.side], _TYPES[ticket.type], self.quantity,
            _STATUSES[self.status], self.filled_quantity, ticket.limit_price, ticket.stop_price,
            ticket.trail_amount, ticket.trail_percent, _TIMES[ticket.time_in_force], self.reason,
            self.parent_id,
        )  # fmt: skip

    def build_broker_order(self, accepted_at: datetime) -> BrokerOrder:
        """Return the order for the paper market."""
        ticket, instrument = self.ticket, self.instrument
        return BrokerOrder(
            self.id, 1, ticket.symbol, self.side, ticket.type, self.quantity, self.leaves, accepted_at,
            ticket.limit_price, ticket.stop_price, ticket.trail_amount, ticket.trail_percent,
            self.trail_level, self.is_triggered, ticket.time_in_force, instrument.tick_size,
            instrument.lot_size, self.group, self.parent_id, self.parent_id is not None,
        )  # fmt: skip

    def build_order(self) -> Order:
        """Return the order for the rules of splits."""
        ticket = self.ticket
        return Order(
            0, self.id, 0, self.id, ticket.symbol, self.product, ticket.side, ticket.type,
            ticket.time_in_force, self.quantity, None, ticket.limit_price, ticket.stop_price,
            ticket.trail_amount, ticket.trail_percent, None, None, extended_hours=ticket.extended_hours,
            reason=None, strategy=None, user_id=None, source="", actor=None, broker="", status=self.status,
            created_at=BEFORE_ALL, updated_at=BEFORE_ALL, filled_quantity=self.filled_quantity,
            filled_value=self.filled_value, trail_level=self.trail_level,
        )  # fmt: skip

    def restate(self, restated: RestatedOrder) -> None:
        """Change the terms to those after a split."""
        self.quantity, self.trail_level = restated.quantity, restated.trail_level
        self.ticket = self.ticket._replace(
            quantity=restated.quantity, limit_price=restated.limit_price, stop_price=restated.stop_price,
            trail_amount=restated.trail_amount,
        )  # fmt: skip

    def build_candidate(self) -> CandidateOrder:
        """Return the order as the risk checks evaluate it."""
        ticket = self.ticket
        return CandidateOrder(
            ticket.symbol, ticket.side, ticket.type, self.leaves, self.product, ticket.limit_price,
            ticket.stop_price if self.trail_level is None else self.trail_level, ticket.trail_amount,
            self.is_triggered, ticket.extended_hours, self.group, self.group,
            filled_quantity=self.filled_quantity,
        )  # fmt: skip

    def build_working_order(self, charges: Decimal) -> WorkingOrder:
        """Return the order as a working order, for the risk checks of another order."""
        ticket = self.ticket
        return WorkingOrder(
            ticket.side, ticket.type, self.leaves, ticket.limit_price,
            ticket.stop_price if self.trail_level is None else self.trail_level, self.is_triggered,
            self.group, self.group, self.parent_id is not None, charges,
        )  # fmt: skip
