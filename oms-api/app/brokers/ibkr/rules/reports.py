"""Reports of TWS as records with exact amounts, and our orders in the words of the TWS API."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from app.brokers.rules import order_reports
from app.brokers.rules.connections import PAPER_ACCOUNT_PREFIX
from app.brokers.rules.values import Account, BrokerOrder, OrderType, TimeInForce
from app.ledger.rules.accounting import Side
from app.money import ZERO, format_plain_amount

OPEN = frozenset({"ApiPending", "PendingSubmit", "PreSubmitted", "Submitted", "PendingCancel"})
ACCEPTED = frozenset({"PreSubmitted", "Submitted", "Filled"})
CANCELED = frozenset({"Cancelled", "ApiCancelled"})
INACTIVE, FILLED, PENDING_CANCEL = "Inactive", "Filled", "PendingCancel"
_TYPE_NAMES = {
    OrderType.MARKET: "MKT",
    OrderType.LIMIT: "LMT",
    OrderType.STOP: "STP",
    OrderType.STOP_LIMIT: "STP LMT",
    OrderType.TRAILING_STOP: "TRAIL",
}
_CLOSING_TYPE_NAMES = {OrderType.MARKET: "MOC", OrderType.LIMIT: "LOC"}
_TYPES_BY_NAME = {
    name: order_type for order_type, name in (*_TYPE_NAMES.items(), *_CLOSING_TYPE_NAMES.items())
}
_ACCOUNT_FIGURES = frozenset({"TotalCashValue", "CashBalance", "BuyingPower"})
_END_FORMAT = "%Y%m%d-%H:%M:%S"  # the dash means UTC
# A fill reduces the other orders of the group, of which only one is at an exchange at a time.
REDUCE_WITH_BLOCK = "2"
_UNSET = Decimal("1e300")  # the API writes an absent amount as the largest float


class IbkrOrderReport(NamedTuple):
    """An order at IBKR. `venue_id` is TWS's order id, unique for its client; `ref` is the id that we gave it.

    `filled` is None where the report does not contain it. `parent_venue_id` is the `venue_id` of the entry of
    an exit, 0 for any other order. `oca_group` is the name at TWS, which renames the groups of exits.
    """

    venue_id: int
    client_id: int
    perm_id: int
    ref: str
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    limit_price: Decimal | None
    stop_price: Decimal | None
    trail_amount: Decimal | None
    trail_percent: Decimal | None
    trail_level: Decimal | None
    status: str
    filled: Decimal | None = None
    expires_at: datetime | None = None
    extended_hours: bool = False
    parent_venue_id: int = 0
    oca_group: str = ""
    oca_type: str = ""

    def build_order(
        self, order_id: str, filled_quantity: Decimal, portfolio_id: int, at: datetime
    ) -> BrokerOrder:
        """Return the order in our words."""
        return BrokerOrder(
            id=order_id,
            portfolio_id=portfolio_id,
            symbol=self.symbol,
            side=self.side,
            type=self.type,
            quantity=self.quantity,
            leaves=max(self.quantity - filled_quantity, ZERO),
            accepted_at=at,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            trail_amount=self.trail_amount,
            trail_percent=self.trail_percent,
            trail_level=self.trail_level,
            time_in_force=self.time_in_force,
            expires_at=self.expires_at,
            extended_hours=self.extended_hours,
        )

    def has_terms_of(self, order: BrokerOrder) -> bool:
        """Return whether IBKR works the order with the quantity and the prices of `order`."""
        reported_terms = (
            self.quantity,
            self.limit_price,
            self.stop_price,
            self.trail_amount,
            self.trail_percent,
        )
        order_terms = (
            order.quantity,
            order.limit_price,
            order.stop_price,
            order.trail_amount,
            order.trail_percent,
        )
        is_same_end = self.expires_at in {None, order.expires_at}  # None: TWS wrote it in another form
        return reported_terms == order_terms and is_same_end and self.time_in_force is order.time_in_force

    def is_changed_to(self, order: BrokerOrder, previous: "IbkrOrderReport | None") -> bool:
        """Return whether IBKR works the order as changed to `order`; `previous` is the report before.

        A fill of another order of its OCA group can make the quantity smaller than it was sent. Then the
        prices prove the change.
        """
        if self.has_terms_of(order):
            return True
        if order.group_id is None or self.quantity >= order.quantity:
            return False
        was_changed = previous is not None and previous._replace(quantity=order.quantity).has_terms_of(order)
        return self._replace(quantity=order.quantity).has_terms_of(order) and not was_changed


class StatusReport(NamedTuple):
    """The status of an order. `filled` is None where the report does not contain it."""

    venue_id: int
    client_id: int
    perm_id: int
    status: str
    filled: Decimal | None


class IbkrFillReport(NamedTuple):
    """An execution. `number` counts its corrections, from 1; the quantity 0 means a bust."""

    execution_id: str
    venue_id: int
    client_id: int
    perm_id: int
    ref: str
    quantity: Decimal
    price: Decimal
    at: datetime

    @property
    def base_id(self) -> str:
        """The part of the id that all corrections of an execution share."""
        base, _, number = self.execution_id.rpartition(".")
        return base if base and number.isdigit() else self.execution_id

    @property
    def number(self) -> int:
        """The number of the correction, 1 for the execution itself."""
        number = self.execution_id.removeprefix(f"{self.base_id}.")
        return int(number) if number.isdigit() else 1


class ChargeReport(NamedTuple):
    """The total charges of IBKR for an execution."""

    execution_id: str
    amount: Decimal
    currency: str


class Attachment(NamedTuple):
    """The parameters that link an order with others: TWS holds a group until its last order is transmitted.

    `parent_venue_id` is 0 for an order that is not an exit of an entry in the group, and for a change: TWS
    does not find an entry that has ended. `oca_group` is that of an order that is changed, as TWS reports it.
    TWS refuses any other one (10326, 10327), and cancels the order.
    """

    parent_venue_id: int = 0
    is_last: bool = True
    oca_group: str = ""
    oca_type: str = REDUCE_WITH_BLOCK


def build_account(number: str, rows: Iterable[tuple[str, str, str, str]]) -> Account:
    """Return the account from the rows (account, tag, value, currency) of its summary.

    The cash is the balance in the account's own currency. IBKR holds other currencies beside it. Raises
    ValueError if a figure is no amount.
    """
    figures = {(tag, currency): parse_amount(value) for account, tag, value, currency in rows
               if account == number and tag in _ACCOUNT_FIGURES}  # fmt: skip
    currency = next((currency for tag, currency in figures if tag == "TotalCashValue"), "USD")
    total = figures.get(("TotalCashValue", currency), ZERO)
    return Account(
        currency,
        figures.get(("CashBalance", currency), total),
        figures.get(("BuyingPower", currency), ZERO),
        number=number,
        is_paper=number.startswith(PAPER_ACCOUNT_PREFIX),
    )


def parse_amount(value: Any) -> Decimal:
    """Return a float of the API as the decimal that it was on the wire. Raises ValueError if it is none."""
    return order_reports.parse_amount(str(value))


def parse_fill(quantity: Any, price: Any) -> tuple[Decimal, Decimal]:
    """Return the quantity and the price of an execution; the quantity 0 means a bust. Raises ValueError."""
    units = order_reports.parse_quantity(str(quantity))
    return units, order_reports.parse_positive_amount(str(price)) if units else parse_amount(price)


def parse_optional(value: Any) -> Decimal | None:
    """Return an amount, None if it is absent. Prices of currency pairs and stocks are never zero."""
    if value is None or value == "":
        return None
    amount = Decimal(str(value))
    return None if not amount or not amount.is_finite() or amount >= _UNSET else amount


def parse_order_type(name: str) -> OrderType | None:
    """Return our order type, None for a type that we do not send."""
    return _TYPES_BY_NAME.get(name)


def parse_time_in_force(tif: str, type_name: str) -> TimeInForce:
    """Return our time in force. Orders for the close have separate order types."""
    if type_name in _CLOSING_TYPE_NAMES.values():
        return TimeInForce.CLS
    return TimeInForce(tif) if tif in TimeInForce.__members__ else TimeInForce.DAY


def parse_end(text: str) -> datetime | None:
    """Return the end of a GTD order, None if there is none or TWS wrote it in a time zone of its own."""
    try:
        return datetime.strptime(text, _END_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


ALONE = Attachment()


def get_attachment(report: IbkrOrderReport | None) -> Attachment:
    """Return how a change of a reported order is sent: in the group in which TWS has it."""
    if report is None or not report.oca_group:
        return ALONE
    return Attachment(oca_group=report.oca_group, oca_type=report.oca_type)


def build_terms(
    order: BrokerOrder, account: str, ref: str, attachment: Attachment = ALONE
) -> dict[str, str | bool | int]:
    """Return the fields of an order of the API. Amounts are texts, so that they arrive exactly."""
    is_at_close = order.time_in_force is TimeInForce.CLS
    aux = order.trail_amount if order.type is OrderType.TRAILING_STOP else order.stop_price
    terms: dict[str, str | bool | int] = {
        "action": order.side.value,
        "totalQuantity": format_plain_amount(order.quantity),
        "orderType": (_CLOSING_TYPE_NAMES if is_at_close else _TYPE_NAMES)[order.type],
        "tif": "DAY" if is_at_close else order.time_in_force.value,
        "orderRef": ref,
        "account": account,
        "transmit": attachment.is_last,
    }
    prices = {
        "lmtPrice": order.limit_price,
        "auxPrice": aux,
        "trailingPercent": order.trail_percent,
        "trailStopPrice": order.trail_level if order.type is OrderType.TRAILING_STOP else None,
    }
    if order.expires_at is not None and order.time_in_force is TimeInForce.GTD:
        terms["goodTillDate"] = order.expires_at.astimezone(UTC).strftime(_END_FORMAT)
    if order.extended_hours:
        terms["outsideRth"] = True
    if attachment.parent_venue_id:
        terms["parentId"] = attachment.parent_venue_id
    if attachment.oca_group or order.group_id is not None:
        terms |= {"ocaGroup": attachment.oca_group or order.group_id or "", "ocaType": attachment.oca_type}
    return terms | {name: format_plain_amount(price) for name, price in prices.items() if price is not None}
