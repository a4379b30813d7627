"""Messages of the TWS API in its text format, server version 178: parts with a NUL after each."""

import struct
from collections.abc import Iterable
from decimal import Decimal

from tests.brokers.standins.ibkr.values import Contract, Execution, Order, Refusal, format_amount

SERVER_VERSION = 178
Part = str | int | float | Decimal
_UNSET = ("",)


def build_frame(parts: Iterable[Part]) -> bytes:
    """Return a message with its length in front."""
    text = "".join(f"{_format(part)}\0" for part in parts).encode()
    return struct.pack(">I", len(text)) + text


def _format(part: Part) -> str:
    return format_amount(part) if isinstance(part, Decimal) else str(part)


def build_error(reference: int, code: int, text: str) -> list[Part]:
    return [4, 2, reference, code, text, ""]


def build_open_order(order: Order) -> list[Part]:
    return [
        *(5, order.id, *_build_contract(order.contract), *_build_terms(order)),
        *("", order.ref, order.client_id, order.perm_id, order.outside_rth, 0, 0, ""),  # from origin on
        *("", "", "", ""),  # shares allocation, advisor group, method and percentage
        *("", order.good_till_date, "", "", "", 0, "", -1, 0, "", "", ""),  # from the model on
        *("", "", "", 0, 0, 0, "", order.oca_type or 0),  # from the stock range on
        *(0, 0, "", order.parent_id, 0),  # to the trigger method
        *("", 0, "", ""),  # volatility and its hedge
        *(0, 0, order.trail_stop_price, order.trail_percent, "", "", ""),
        *(0, 0, 0, "", "", "", ""),  # legs, parameters, scale, hedge
        *(0, "", "", 0, 0, ""),  # from opting out to the algorithm
        *(0, 0, order.status, *_UNSET * 9, "", "", "", "", "", 0, 0),
        0,  # conditions
        *("None", "", order.trail_stop_price, *_UNSET * 5, "", "", "", "", 0, 0, 0, 0),
        *("", "", 0, *_UNSET * 5),
    ]


def build_completed_order(order: Order) -> list[Part]:
    status = "Filled" if order.status == "Filled" else "Cancelled"
    return [
        *(101, *_build_contract(order.contract), *_build_terms(order)),
        *("", order.ref, order.perm_id, order.outside_rth, 0, 0, "", "", "", ""),
        *("", order.good_till_date, "", "", "", 0, "", -1, "", "", "", "", "", ""),
        *(0, 0, "", 0, 0),  # sweep to the trigger method
        *("", 0, "", ""),
        *(0, 0, order.trail_stop_price, order.trail_percent, ""),
        *(0, 0, 0, "", "", "", ""),
        *("", "", 0, 0, "", 0, status, 0, 0),
        0,
        *(order.trail_stop_price, "", "", 0, 0, "", order.filled, 0, 0, "", 0, 0, 0),
        *("20261127 16:00:00 America/New_York", f"{status} Size: {format_amount(order.filled)}"),
        *_UNSET * 5,
    ]


def build_order_status(order: Order) -> list[Part]:
    last = order.executions[-1].price if order.executions else Decimal(0)
    return [
        *(3, order.id, order.status, order.filled, order.remaining, order.average_price),
        *(order.perm_id, order.parent_id, last, order.client_id, "", 0),
    ]


def build_execution(reference: int, execution: Execution) -> list[Part]:
    order = execution.order
    return [
        *(11, reference, order.id, *_build_contract(order.contract), execution.id),
        *(f"{execution.at:%Y%m%d %H:%M:%S} UTC", order.account, order.contract.exchange),
        *("BOT" if order.sign > 0 else "SLD", execution.quantity, execution.price),
        *(order.perm_id, order.client_id, 0, execution.cumulative, order.average_price, order.ref),
        *("", "", "", 1, 0),
    ]


def build_commission_report(execution: Execution) -> list[Part]:
    currency = execution.order.contract.currency
    return [59, 1, execution.id, execution.commission, currency, "", "", ""]


def build_position(account: str, contract: Contract, quantity: Decimal, cost: Decimal) -> list[Part]:
    return [61, 3, account, *_build_contract(contract), quantity, cost]


def _build_contract(contract: Contract) -> tuple[Part, ...]:
    return (
        *(contract.con_id, contract.symbol, contract.sec_type, "", 0, "", "", contract.exchange),
        *(contract.currency, contract.local_symbol, contract.local_symbol),
    )


def _build_terms(order: Order) -> tuple[Part, ...]:
    return (
        *(order.action, order.quantity, order.kind, order.limit_price, order.aux_price, order.tif),
        *(order.oca_group, order.account, "O"),
    )


def parse_order(fields: list[str], client_id: int, perm_id: int) -> Order:
    """Return the order of a `placeOrder` message."""
    contract = Contract(symbol=fields[3], sec_type=fields[4], exchange=fields[9], currency=fields[11])
    if contract.sec_type not in {"STK", "CASH"}:
        raise Refusal(200, "No security definition has been found for the request")
    return Order(
        id=int(fields[1]),
        client_id=client_id,
        perm_id=perm_id,
        account=fields[23],
        contract=contract,
        action=fields[16],
        quantity=Decimal(fields[17]),
        kind=fields[18],
        limit_price=fields[19],
        aux_price=fields[20],
        tif=fields[21] or "DAY",
        ref=fields[26],
        trail_stop_price=fields[68],
        trail_percent=fields[69],
        good_till_date=fields[38],
        outside_rth=fields[33],
        oca_group=fields[22],
        oca_type=fields[46],
        parent_id=int(fields[28] or 0),
        is_transmitted=fields[27] == "1",
    )
