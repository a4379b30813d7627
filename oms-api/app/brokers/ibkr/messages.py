"""Receive the messages of TWS, answers and reports of orders, under the names that ib_async calls."""

import asyncio
import logging
from datetime import UTC
from types import SimpleNamespace
from typing import Any, Protocol

from app.brokers.ibkr.rules import messages
from app.brokers.ibkr.rules.contracts import ContractTerms, build_symbol
from app.brokers.ibkr.rules.reports import (
    ChargeReport,
    IbkrFillReport,
    IbkrOrderReport,
    StatusReport,
    parse_amount,
    parse_end,
    parse_fill,
    parse_optional,
    parse_order_type,
    parse_time_in_force,
)
from app.brokers.rules.order_reports import parse_name
from app.brokers.rules.values import OrderType
from app.ledger.rules.accounting import Side
from app.money import ZERO

_OTHER_TYPE = OrderType.LIMIT  # shown for order types that only a person in TWS can send
_ANSWERS = {"5": "open orders", "11": "executions", "61": "positions", "63": "account"}  # by the message
_REPORTS = frozenset({"3", "5", "11"})  # messages about orders and executions
_UNSET = 1e300  # an absent amount is the largest float
_LOG = logging.getLogger(__name__)
IbkrReport = IbkrOrderReport | StatusReport | IbkrFillReport | ChargeReport


class RequestFailed(Exception):
    """Raised when TWS answered a request with an error."""


class MalformedAnswer(RequestFailed):
    """Raised when a part of an answer was not understood. The rest of it may still arrive."""


class ReportListener(Protocol):
    """The callbacks for reports and messages about orders, called in the thread of the connection."""

    def receive(self, report: IbkrReport) -> None:
        """Apply a report."""

    def receive_message(self, venue_id: int, code: int, text: str) -> None:
        """Apply a message about an order."""

    def request_reading(self) -> None:
        """Let orders and executions be read again."""


class ConnectionKeeper(Protocol):
    """The callbacks for the state of the connection, called in its thread."""

    def note_connectivity(self, problem: str | None) -> None:
        """Note that TWS lost its own connection with IBKR, or has it again."""

    def drop_connection(self, problem: str) -> None:
        """Close the connection, and connect again."""


class MessageReceiver:
    """The wrapper that ib_async's client and decoder need. Its methods have the names of the API."""

    defaultTimezone = UTC  # noqa: N815  # ib_async reads it
    ib = SimpleNamespace(TimezoneTWS="")  # ib_async reads it

    def __init__(self, listener: ReportListener, client_id: int) -> None:
        self.account: str | None = None  # orders and executions of other accounts of the login are ignored
        self._listener, self._client_id = listener, client_id
        self._keeper: ConnectionKeeper | None = None
        self._rows: dict[str, list[Any]] = {}
        self._answers: dict[str, asyncio.Future[list[Any]]] = {}
        self._keys: dict[int, str] = {}  # by the number of the request

    def use_connection(self, keeper: ConnectionKeeper) -> None:
        """Use this connection from now on."""
        self._keeper = keeper

    def expect_answer(self, key: str, number: int | None) -> "asyncio.Future[list[Any]]":
        """Return the future of an answer."""
        self._rows[key] = []
        self._answers[key] = asyncio.get_running_loop().create_future()
        if number is not None:
            self._keys[number] = key
        return self._answers[key]

    def fail_requests(self, error: Exception) -> None:
        """Fail all requests that wait."""
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(error)
                answer.exception()  # its caller may have given up
        self._answers.clear()
        self._keys.clear()

    def _add(self, key: str, row: Any) -> None:
        if key in self._answers:
            self._rows[key].append(row)

    def _is_other(self, account: str) -> bool:
        return self.account is not None and account not in {"", self.account}

    def _finish(self, key: str) -> None:
        answer = self._answers.pop(key, None)
        if answer is not None and not answer.done():
            answer.set_result(self._rows.pop(key, []))

    # Messages

    def receive_malformed(self, message: str) -> None:
        """Receive the number of a message that cannot be read.

        An answer that lacks a row fails. Orders and executions are read again, as a report may be missing.
        """
        key = _ANSWERS.get(message)
        answer = self._answers.pop(key, None) if key is not None else None
        if answer is not None and not answer.done():
            answer.set_exception(MalformedAnswer(f"its {key} were not understood"))
        elif message in _REPORTS:
            self._listener.request_reading()

    def connectAck(self) -> None:  # noqa: N802  # here and below: a name of the API
        """Receive the end of the handshake."""

    def setEventsDone(self) -> None:  # noqa: N802
        """Receive the end of a connection, also if the connection was not ready."""
        if self._keeper is not None:
            self._keeper.drop_connection("TWS closed the connection.")

    def connectionClosed(self) -> None:  # noqa: N802
        """Receive the end of a connection that was ready."""

    def error(self, number: int, code: int, text: str, _details: str = "") -> None:
        """Receive a message about a request, an order, or the connection."""
        keeper = self._keeper
        if number in self._keys:
            key = self._keys.pop(number)
            answer = self._answers.pop(key, None)
            if answer is not None and not answer.done():
                answer.set_exception(RequestFailed(f"{code} {text}"))
        elif number > 0:
            self._listener.receive_message(number, code, text)
        elif keeper is not None:
            self._receive_state(keeper, code, text)

    def _receive_state(self, keeper: ConnectionKeeper, code: int, text: str) -> None:
        if code in messages.CONNECTIVITY_LOST:
            keeper.note_connectivity(text)
        elif code in messages.CONNECTIVITY_RESTORED:
            keeper.note_connectivity(None)
        elif code in messages.SOCKET_CLOSED or code == messages.CLIENT_ID_IN_USE:
            keeper.drop_connection(text)
        elif code not in range(2100, 2200):
            _LOG.warning("TWS says %d: %s", code, text)

    def openOrder(self, number: int, contract: Any, order: Any, state: Any) -> None:  # noqa: N802
        """Receive an open order."""
        if self._is_other(order.account):
            return
        report = build_report(number, order.clientId, contract, order, state.status)
        self._add("open orders", report)
        self._listener.receive(report)

    def openOrderEnd(self) -> None:  # noqa: N802
        """Receive the end of the open orders."""
        self._finish("open orders")

    def orderStatus(self, number: int, status: str, filled: float, *values: Any) -> None:  # noqa: N802
        """Receive the status of an order."""
        _, _, perm_id, _, _, client_id, *_ = values
        self._listener.receive(StatusReport(number, client_id, perm_id, status, parse_amount(filled)))

    def completedOrder(self, contract: Any, order: Any, state: Any) -> None:  # noqa: N802
        """Receive an order that has ended. TWS does not report its number."""
        if self._is_other(order.account):
            return
        report = build_report(0, self._client_id, contract, order, state.status)
        filled_quantity = parse_optional(order.filledQuantity) or ZERO
        self._add(
            "completed orders",
            report._replace(filled=filled_quantity, quantity=report.quantity or filled_quantity),
        )

    def completedOrdersEnd(self) -> None:  # noqa: N802
        """Receive the end of the completed orders."""
        self._finish("completed orders")

    def execDetails(self, _number: int, _contract: Any, execution: Any) -> None:  # noqa: N802
        """Receive an execution."""
        if self._is_other(execution.acctNumber):
            return
        quantity, price = parse_fill(execution.shares, execution.price)
        fill = IbkrFillReport(
            execution_id=parse_name(execution.execId),
            venue_id=execution.orderId,
            client_id=execution.clientId,
            perm_id=execution.permId,
            ref=execution.orderRef,
            quantity=quantity,
            price=price,
            at=execution.time.astimezone(UTC),
        )
        self._listener.receive(fill)

    def execDetailsEnd(self, number: int) -> None:  # noqa: N802
        """Receive the end of the executions."""
        self._keys.pop(number, None)
        self._finish("executions")

    def commissionReport(self, report: Any) -> None:  # noqa: N802
        """Receive the charges of an execution."""
        if report.commission < _UNSET:
            amount = parse_amount(report.commission)
            self._listener.receive(ChargeReport(report.execId, amount, report.currency))

    def position(self, account: str, contract: Any, quantity: float, average: float) -> None:
        """Receive a position."""
        row = (account, build_symbol(parse_contract(contract)), parse_amount(quantity), parse_amount(average))
        self._add("positions", row)

    def positionEnd(self) -> None:  # noqa: N802
        """Receive the end of the positions."""
        self._finish("positions")

    def accountSummary(self, _number: int, account: str, tag: str, value: str, currency: str) -> None:  # noqa: N802
        """Receive a figure of the account."""
        self._add("account", (account, tag, value, currency))

    def accountSummaryEnd(self, number: int) -> None:  # noqa: N802
        """Receive the end of the account's figures."""
        self._keys.pop(number, None)
        self._finish("account")

    def currentTime(self, _seconds: int) -> None:  # noqa: N802
        """Receive the time, which proves that the connection works."""
        self._finish("time")


def parse_contract(contract: Any) -> ContractTerms:
    """Return the terms of a contract of the API."""
    return ContractTerms(contract.symbol, contract.secType, contract.exchange, contract.currency)


def build_report(number: int, client_id: int, contract: Any, order: Any, status: str) -> IbkrOrderReport:
    """Return the report of an order of the API."""
    order_type = parse_order_type(order.orderType) or _OTHER_TYPE
    is_trail = order_type is OrderType.TRAILING_STOP
    aux = parse_optional(order.auxPrice)
    return IbkrOrderReport(
        venue_id=number,
        client_id=client_id,
        perm_id=order.permId,
        ref=order.orderRef,
        symbol=build_symbol(parse_contract(contract)),
        side=Side.BUY if order.action == "BUY" else Side.SELL,
        type=order_type,
        time_in_force=parse_time_in_force(order.tif, order.orderType),
        quantity=parse_amount(order.totalQuantity),
        limit_price=None
        if order_type in {OrderType.MARKET, OrderType.STOP}
        else parse_optional(order.lmtPrice),
        stop_price=None if is_trail or order_type is OrderType.MARKET else aux,
        trail_amount=aux if is_trail else None,
        trail_percent=parse_optional(order.trailingPercent) if is_trail else None,
        trail_level=parse_optional(order.trailStopPrice) if is_trail else None,
        status=status,
        expires_at=parse_end(order.goodTillDate),
        extended_hours=bool(order.outsideRth),
        parent_venue_id=order.parentId,
        oca_group=order.ocaGroup,
        oca_type=str(order.ocaType),
    )
