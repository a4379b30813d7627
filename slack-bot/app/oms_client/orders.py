"""Call the order routes of the OMS."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from app.errors import OmsError, OutcomeUnknown
from app.forms.numbers import format_plain
from app.forms.orders.order import Approval, Order, PortfolioCash, Preview
from app.forms.orders.ticket import OrderTicket
from app.forms.portfolio_values import PositionKey
from app.oms_client.client import OmsClient
from app.oms_client.connections import HttpResponse
from app.oms_client.order_wire import (
    parse_approvals,
    parse_order,
    parse_orders,
    parse_portfolio_cash,
    parse_portfolio_cashes,
    parse_preview,
    serialize_changes,
    serialize_order_ticket,
)
from app.oms_client.person import Person

ORDERS = "/api/v1/orders"


@dataclass(frozen=True)
class OrderClient:
    """Place, change and read orders for people. Writes raise as `OmsClient.write` does."""

    oms: OmsClient

    def preview(self, person: Person, ticket: OrderTicket, *, request_id: str) -> Preview:
        """Return the effect that the ticket would have now."""
        body = serialize_order_ticket(ticket)
        response = self.oms.write(person, "POST", f"{ORDERS}:preview", body, key="", request_id=request_id)
        return parse_preview(_read_json(response))

    def place(
        self, person: Person, ticket: OrderTicket, *, key: str, is_repeat_confirmed: bool, request_id: str
    ) -> Order:
        """Place an order at most once per `key`, which is also its client order id."""
        body = serialize_order_ticket(ticket, client_order_id=key, is_repeat_confirmed=is_repeat_confirmed)
        return self._write_order(person, "POST", ORDERS, body, key=key, request_id=request_id)

    def replace(
        self, person: Person, previous: Order, ticket: OrderTicket, *, key: str, request_id: str
    ) -> Order:
        """Replace the terms that differ from those of the previous order. Return the new order."""
        body = serialize_changes(ticket, previous, client_order_id=key)
        return self._write_order(
            person, "PATCH", _build_path(previous.id), body, key=key, request_id=request_id
        )

    def cancel(self, person: Person, order_id: str, *, key: str, request_id: str) -> Order:
        """Cancel an order."""
        path = f"{_build_path(order_id)}/cancel"
        return self._write_order(person, "POST", path, {}, key=key, request_id=request_id)

    def close(
        self,
        person: Person,
        position: PositionKey,
        quantity: Decimal | None,
        reason: str,
        *,
        key: str,
        request_id: str,
    ) -> Order:
        """Close a position at market, or `quantity` units of it. Return the closing order."""
        body = {"portfolio_name": position.portfolio_name, "symbol": position.symbol, "reason": reason}
        body |= {"product": position.product} if position.product else {}
        body |= {} if quantity is None else {"quantity": format_plain(quantity)}
        return self._write_order(
            person, "POST", "/api/v1/positions:close", body, key=key, request_id=request_id
        )

    def approve(
        self, person: Person, order_id: str, reason: str, price_seen: str, *, key: str, request_id: str
    ) -> Order:
        """Approve an order. `price_seen` is the moved reference price that the person agreed to."""
        body = {name: text for name, text in (("reason", reason), ("price_seen", price_seen)) if text}
        path = f"{_build_path(order_id)}/approve"
        return self._write_order(person, "POST", path, body, key=key, request_id=request_id)

    def reject(self, person: Person, order_id: str, reason: str, *, key: str, request_id: str) -> Order:
        """Reject an order."""
        path = f"{_build_path(order_id)}/reject"
        body = {"reason": reason}
        return self._write_order(person, "POST", path, body, key=key, request_id=request_id)

    def list_approvals(self, person: Person, *, request_id: str) -> list[Approval]:
        """Return the orders on which the person may decide."""
        return parse_approvals(self.oms.read(person, "/api/v1/approvals", {}, request_id))

    def find_by_id(self, person: Person | None, order_id: str, *, request_id: str) -> Order | None:
        """Return an order with its history and its fills. None if the person sees no such order.

        Without a person, it is read with the bot's own key, which sees all orders.
        """
        path = _build_path(order_id)
        if person is None:
            body = self.oms.read_as_bot(path, {}, request_id, absent=None)
        else:
            body = self.oms.read(person, path, {}, request_id, absent=None)
        return None if body is None else parse_order(body)

    def find(self, person: Person, client_order_id: str, *, request_id: str) -> Order | None:
        """Return the order with this client order id, None if there is none."""
        parameters = {"client_order_id": client_order_id, "limit": "1"}
        orders = parse_orders(self.oms.read(person, ORDERS, parameters, request_id))
        return orders[0] if orders else None

    def list_since(
        self, person: Person, ticket: OrderTicket, since: datetime, *, request_id: str
    ) -> list[Order]:
        """Return the orders since then with the ticket's symbol, side and portfolio, newest first."""
        parameters = {
            "portfolio": ticket.portfolio,
            "symbol": ticket.symbol,
            "side": ticket.side.value,
            "from": since.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "limit": "100",
        }
        return parse_orders(self.oms.read(person, ORDERS, parameters, request_id))

    def list_own_since(
        self, person: Person, portfolio: str, symbol: str, since: datetime, *, request_id: str
    ) -> list[Order]:
        """Return the person's orders in a symbol of a portfolio since then, newest first."""
        parameters = {
            "portfolio": portfolio,
            "symbol": symbol,
            "user": person.actor,
            "from": since.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "limit": "100",
        }
        return parse_orders(self.oms.read(person, ORDERS, parameters, request_id))

    def find_cash(self, person: Person, portfolio: str, *, request_id: str) -> PortfolioCash | None:
        """Return the cash and the buying power of a portfolio. None if the person sees no such portfolio."""
        path = f"/api/v1/portfolio/{quote(portfolio, safe='')}"
        body = self.oms.read(person, path, {}, request_id, absent=None)
        return None if body is None else parse_portfolio_cash(body)

    def list_cash(self, person: Person, query: str, *, limit: int, request_id: str) -> list[PortfolioCash]:
        """Return the portfolios that match the query, with their cash."""
        parameters = {"limit": str(limit), "detail": "true"} | ({"q": query} if query else {})
        return parse_portfolio_cashes(self.oms.read(person, "/api/v1/portfolios", parameters, request_id))

    def reverse(self, person: Person, trade_id: str, reason: str, *, key: str, request_id: str) -> None:
        """Reverse a reported trade."""
        path = f"/api/v1/trades/{quote(trade_id, safe='')}:reverse"
        self.oms.write(person, "POST", path, {"reason": reason}, key=key, request_id=request_id)

    def _write_order(
        self, person: Person, method: str, path: str, body: dict[str, Any], *, key: str, request_id: str
    ) -> Order:
        response = self.oms.write(person, method, path, body, key=key, request_id=request_id)
        try:
            return parse_order(_read_json(response))
        except OmsError as error:  # the change was made; its result is looked up
            raise OutcomeUnknown(str(error)) from None


def _read_json(response: HttpResponse) -> Any:
    try:
        return response.json()
    except ValueError:
        raise OutcomeUnknown("The OMS returned a response that is not JSON.") from None


def _build_path(order_id: str) -> str:
    return f"{ORDERS}/{quote(order_id, safe='')}"
