"""Contracts, orders and executions of the stand-in."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

ZERO = Decimal(0)
OPEN = ("PreSubmitted", "Submitted", "PendingCancel")


class Contract(NamedTuple):
    """An instrument. `symbol` of a forex pair is its first currency."""

    symbol: str
    sec_type: str
    exchange: str
    currency: str

    @property
    def name(self) -> str:
        """The symbol under which the stand-in quotes it: AAPL, EURUSD."""
        return self.symbol + self.currency if self.sec_type == "CASH" else self.symbol

    @property
    def local_symbol(self) -> str:
        return f"{self.symbol}.{self.currency}" if self.sec_type == "CASH" else self.symbol

    @property
    def con_id(self) -> int:
        return 1 + sum(ord(letter) * (place + 1) * 977 for place, letter in enumerate(self.name)) % 10**8


@dataclass
class Execution:
    """A fill. `id` ends with the number of its correction."""

    id: str
    order: "Order"
    quantity: Decimal
    price: Decimal
    cumulative: Decimal
    at: datetime
    commission: Decimal
    is_charged: bool = False  # whether its commission report was sent


@dataclass
class Order:
    """An order. `id` is unique for its client only."""

    id: int
    client_id: int
    perm_id: int
    account: str
    contract: Contract
    action: str
    quantity: Decimal
    kind: str
    limit_price: str
    aux_price: str
    tif: str
    ref: str
    trail_stop_price: str
    trail_percent: str
    good_till_date: str
    outside_rth: str
    oca_group: str = ""
    oca_type: str = ""
    parent_id: int = 0
    is_transmitted: bool = True
    status: str = "PreSubmitted"
    filled: Decimal = ZERO
    value: Decimal = ZERO
    executions: list[Execution] = field(default_factory=list)
    sent_quantity: Decimal = ZERO  # as it arrived first
    reduction: Decimal = ZERO  # by fills of other orders of its OCA group

    def __post_init__(self) -> None:
        self.sent_quantity = self.quantity

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    @property
    def remaining(self) -> Decimal:
        return self.quantity - self.filled

    @property
    def sign(self) -> int:
        return 1 if self.action == "BUY" else -1

    @property
    def average_price(self) -> Decimal:
        return self.value / self.filled if self.filled else ZERO


class Quote(NamedTuple):
    """The best bid and ask."""

    bid: Decimal
    ask: Decimal


class Refusal(Exception):
    """An error message of TWS about an order or a request."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text


def format_amount(amount: Decimal) -> str:
    """Return 10.50 as "10.5", without an exponent."""
    return f"{amount.normalize():f}" if amount else "0"
