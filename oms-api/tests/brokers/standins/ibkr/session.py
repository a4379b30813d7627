"""One connected client of the stand-in: it reads requests and answers them."""

import asyncio
import struct
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.brokers.standins.ibkr.faults import CANCEL_ORDER, PLACE_ORDER, MessageFault
from tests.brokers.standins.ibkr.messages import (
    SERVER_VERSION,
    Part,
    build_commission_report,
    build_completed_order,
    build_error,
    build_execution,
    build_frame,
    build_open_order,
    build_order_status,
    build_position,
    parse_order,
)
from tests.brokers.standins.ibkr.values import Order, Refusal

if TYPE_CHECKING:
    from tests.brokers.standins.ibkr.server import StandIn

MAX_MESSAGES_PER_SECOND = 50
_ID_IN_USE = 326
Handler = Callable[["Session", list[str]], None]


class Session:
    """The connection of a client. It begins with the handshake, and lives until one side closes it."""

    def __init__(self, owner: "StandIn", reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.stand_in, self.exchange = owner, owner.exchange
        self._reader, self._writer = reader, writer
        self.client_id: int | None = None
        self.is_muted = False
        self._waiting: list[list[Part]] = []  # while events are held back
        self._times: deque[float] = deque()

    async def run(self) -> None:
        """Serve the client until the connection ends."""
        try:
            await self._reader.readexactly(4)  # "API" and a NUL
            await self._read_frame()
            self._writer.write(build_frame([SERVER_VERSION, f"{datetime.now(UTC):%Y%m%d %H:%M:%S} UTC"]))
            while True:
                self.receive((await self._read_frame()).split("\0")[:-1])
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.stand_in.sessions.discard(self)
            self.exchange.drop_untransmitted(self.client_id or 0)
            self._writer.close()

    async def _read_frame(self) -> str:
        (length,) = struct.unpack(">I", await self._reader.readexactly(4))
        return (await self._reader.readexactly(length)).decode()

    def send(self, parts: list[Part]) -> None:
        """Send a message, unless a fault holds it back."""
        faults = self.stand_in.faults
        if faults.is_held:
            self._waiting.append(parts)
        elif not self.is_muted:
            for _ in range(faults.copies):
                self._writer.write(build_frame(parts))

    def release(self) -> None:
        """Send the messages that were held back."""
        waiting, self._waiting = self._waiting, []
        for parts in waiting:
            self.send(parts)

    def cut(self) -> None:
        """Close the connection at once. Unsent messages are lost."""
        self.is_muted = True
        self._writer.transport.abort()

    def receive(self, fields: list[str]) -> None:
        """Carry out a request."""
        message = int(fields[0])
        self.stand_in.requests.append((message, fields))
        if self._is_too_fast():
            self.send(build_error(-1, 100, "Max rate of messages per second has been exceeded"))
            return
        fault = self.stand_in.faults.take(message)
        if fault is None:
            self._carry_out(message, fields)
        else:
            self._fail(fault, message, fields)

    def _fail(self, fault: MessageFault, message: int, fields: list[str]) -> None:
        match fault.kind:
            case "reject":
                order = parse_order(fields, self.client_id or 0, self.exchange.generate_perm_id())
                self.exchange.reject(order, fault.text)
            case "refuse":
                self.send(build_error(_get_reference(fields), fault.code, fault.text))
            case "pace":
                text = "Max rate of messages per second has been exceeded"
                self.send(build_error(_get_reference(fields), 100, text))
            case "cut_after" | "mute":
                self.is_muted = True
                self._carry_out(message, fields)
                self.is_muted = fault.kind == "cut_after"
            case _:  # `cut_before` and `drop` carry nothing out
                pass
        if fault.kind.startswith("cut"):
            self.cut()

    def _carry_out(self, message: int, fields: list[str]) -> None:
        handler = _HANDLERS.get(message)
        try:
            if handler is not None:
                handler(self, fields)
        except Refusal as refusal:
            self.send(build_error(_get_reference(fields), refusal.code, refusal.text))

    def _is_too_fast(self) -> bool:
        now = time.monotonic()
        self._times.append(now)
        while now - self._times[0] > 1:
            self._times.popleft()
        return len(self._times) > MAX_MESSAGES_PER_SECOND

    # Requests

    def start(self, fields: list[str]) -> None:
        client_id = int(fields[2])
        if any(session.client_id == client_id for session in self.stand_in.sessions):
            text = "Unable to connect as the client id is already in use. Retry with a unique client id."
            self.send(build_error(-1, _ID_IN_USE, text))
            self._writer.close()
            return
        self.client_id = client_id
        self.send([15, 1, ",".join(self.stand_in.accounts)])
        self.send([9, 1, self.stand_in.generate_order_id(client_id)])
        self.send(build_error(-1, 2104, "Market data farm connection is OK:usfarm"))
        for order in self._list_open(only_own=True):
            self.exchange.publish_state(order)

    def place_order(self, fields: list[str]) -> None:
        client_id = self.client_id or 0
        order = parse_order(fields, client_id, self.exchange.generate_perm_id())
        self.stand_in.note_order_id(client_id, order.id)
        self.exchange.submit(order)

    def cancel_order(self, fields: list[str]) -> None:
        order = self.exchange.find(self.client_id or 0, int(fields[2]))
        if order is None:
            raise Refusal(10147, f"OrderId {fields[2]} that needs to be cancelled is not found.")
        self.exchange.cancel(order)

    def list_open_orders(self, fields: list[str]) -> None:
        for order in self._list_open(only_own=fields[0] == "5"):
            self.send(build_open_order(order))
            self.send(build_order_status(order))
        self.send([53, 1])

    def list_completed_orders(self, _: list[str]) -> None:
        for order in self.exchange.orders:
            if not order.is_open:
                self.send(build_completed_order(order))
        self.send([102])

    def list_executions(self, fields: list[str]) -> None:
        reference = int(fields[2])
        held_ids = {held.id for held in self.exchange.held_executions}
        for execution in [
            candidate for candidate in self.exchange.executions if candidate.id not in held_ids
        ]:
            self.send(build_execution(reference, execution))
        self.send([55, 1, reference])
        for execution in self.exchange.executions:
            if execution.is_charged:
                self.send(build_commission_report(execution))

    def list_positions(self, _: list[str]) -> None:
        for contract, (quantity, cost) in self.exchange.positions.items():
            average = cost / quantity if quantity else quantity
            self.send(build_position(self.exchange.account, contract, quantity, average))
        self.send([62, 1])

    def summarize_account(self, fields: list[str]) -> None:
        reference, account, cash = int(fields[2]), self.exchange.account, self.exchange.cash
        rows: list[tuple[str, Part, str]] = [
            ("AccountType", "INDIVIDUAL", ""),
            ("BuyingPower", cash["USD"] * 4, "USD"),
            ("TotalCashValue", cash["USD"], "USD"),
            *(("CashBalance", amount, currency) for currency, amount in cash.items()),
        ]
        for tag, value, currency in rows:
            self.send([63, 1, reference, account, tag, value, currency])
        self.send([64, 1, reference])

    def send_time(self, _: list[str]) -> None:
        self.send([49, 1, int(time.time())])

    def send_order_id(self, _: list[str]) -> None:
        self.send([9, 1, self.stand_in.generate_order_id(self.client_id or 0)])

    def finish_account_updates(self, _: list[str]) -> None:
        self.send([54, 1, self.exchange.account])

    def finish_model_updates(self, fields: list[str]) -> None:
        self.send([74, 1, int(fields[2])])

    def _list_open(self, *, only_own: bool) -> list[Order]:
        return [
            order for order in self.exchange.orders
            if order.is_open and (not only_own or order.client_id == self.client_id)
        ]  # fmt: skip


def _get_reference(fields: list[str]) -> int:
    """Return the number of the order or of the request that a message is about."""
    return int(fields[1 if int(fields[0]) == PLACE_ORDER else 2])


_HANDLERS: dict[int, Handler] = {
    PLACE_ORDER: Session.place_order,
    CANCEL_ORDER: Session.cancel_order,
    5: Session.list_open_orders,
    6: Session.finish_account_updates,
    7: Session.list_executions,
    8: Session.send_order_id,
    16: Session.list_open_orders,
    49: Session.send_time,
    61: Session.list_positions,
    62: Session.summarize_account,
    71: Session.start,
    76: Session.finish_model_updates,
    99: Session.list_completed_orders,
}
