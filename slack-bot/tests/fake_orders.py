"""The order routes of the OMS's REST API that the bot uses."""

import re
from typing import Any

from tests.fakes import Request, Response, build_problem

ORDER_CALLS = frozenset({
    "place_order", "preview_order", "find_order", "recent_orders", "get_order", "replace_order",
    "cancel_order", "close_position", "approvals", "approve", "reject", "reverse",
})  # fmt: skip
FINAL = ("FILLED", "CANCELED", "EXPIRED", "REPLACED", "DENIED", "REJECTED")
_ONE = re.compile(r"/orders/([^/]+)(?:/(cancel|approve|reject))?")


def name_order_call(call: Request, path: str) -> str:
    """Return the name of a call of the order routes. Empty for other calls."""
    fixed = {
        "/orders:preview": "preview_order",
        "/positions:close": "close_position",
        "/approvals": "approvals",
    }
    if path == "/orders":
        listed = "find_order" if "client_order_id" in call.query else "recent_orders"
        return "place_order" if call.method == "POST" else listed
    if match := _ONE.fullmatch(path):
        names = {"cancel": "cancel_order", "approve": "approve", "reject": "reject"}
        return names.get(match[2], {"PATCH": "replace_order"}.get(call.method, "get_order"))
    return "reverse" if path.endswith(":reverse") else fixed.get(path, "")


class FakeOrders:
    """Orders by id. A test changes them with `fill` and `finish`."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, tuple[Any, str]] = {}
        self.denial: dict[str, Any] | None = None  # of the next order and of previews
        self.next_status = "ACCEPTED"
        self.is_response_lost = False  # orders are placed, and the connection is dropped
        self.waiting: list[dict[str, Any]] = []  # the response of `GET /approvals`

    def respond(self, name: str, call: Request, person: str) -> Response:
        response: Response = getattr(self, f"_{name}")(call, person)
        return response

    def fill(self, order_id: str, quantity: str, price: str) -> None:
        """Fill the whole order, or a part of it."""
        order = self.orders[order_id]
        status = "FILLED" if quantity == order["quantity"] else "PARTIALLY_FILLED"
        execution = f"{order_id}-{len(order['fills'])}"
        order |= {"filled_quantity": quantity, "average_price": price}
        order["fills"].append({"execution_id": execution, "quantity": quantity, "price": price})
        self.move(order_id, status, "paper", execution_id=execution)

    def move(self, order_id: str, status: str, actor: str, reason: str = "", execution_id: str = "") -> None:
        order = self.orders[order_id]
        order["events"].append({
            "sequence": len(order["events"]) + 1, "from_status": order["status"], "to_status": status,
            "at": "2026-11-29T10:00:00.000000Z", "actor": actor, "reason": reason or None,
            "broker_reason": None, "execution_id": execution_id or None,
        })  # fmt: skip
        order["status"] = status

    def _place_order(self, call: Request, person: str) -> Response:
        key = call.headers["idempotency-key"]
        if key in self.keys:
            body, order_id = self.keys[key]
            if body != call.body:
                return build_problem(
                    409, "This key was used for another request.", kind="idempotency-key-reused"
                )
            return self._build_stored_response(order_id, 201)
        order = self.add(call.body, person)
        self.keys[key] = (call.body, order["id"])
        if self.denial:
            order |= {"denial": self.denial}
            self.move(order["id"], "DENIED", person)
        else:
            self.move(order["id"], self.next_status, person)
        return Response(drop=True) if self.is_response_lost else self._build_stored_response(order["id"], 201)

    def _build_stored_response(self, order_id: str, status: int) -> Response:
        order = self.orders[order_id]
        if order["status"] != "DENIED":
            return Response(status, order)
        response = build_problem(422, order["denial"]["message"], kind="order-denied")
        response.body |= {"order_id": order_id, "denial": order["denial"]}
        return response

    def add(self, body: dict[str, Any], person: str, **more: Any) -> dict[str, Any]:
        """Add an order that a person placed."""
        order_id = f"O{17636544000000000 + len(self.orders)}a"
        fixed = ("limit_price", "stop_price", "trail_amount", "trail_percent", "notional", "reason")
        legs = [
            self._build_leg(f"{order_id}{role[0]}", role, body, **{price: body[role][price]})
            for role, price in (("stop_loss", "stop_price"), ("take_profit", "limit_price"))
            if body.get(role)
        ]
        order = build_order_json(order_id, body, person) | {name: body.get(name) for name in fixed}
        self.orders[order_id] = order | {"legs": legs, "events": [], "fills": []} | more
        return self.orders[order_id]

    def _build_leg(self, order_id: str, role: str, body: dict[str, Any], **prices: str) -> dict[str, Any]:
        side = "SELL" if body["side"] == "BUY" else "BUY"
        kind = "STOP" if role == "stop_loss" else "LIMIT"
        leg = build_order_json(order_id, body | {"side": side, "type": kind}, "")
        return leg | {"role": role, "status": "HELD", "time_in_force": "GTC"} | prices

    def _preview_order(self, call: Request, _person: str) -> Response:
        body = call.body
        return Response(body={
            "portfolio_name": body["portfolio_name"], "symbol": body["symbol"], "side": body["side"],
            "quantity": body.get("quantity", "12"), "expected_price": "410.00", "expected_value": "20500.00",
            "expected_charges": "1.20", "cash_after": "79498.80", "position_after": "50", "opens_at": None,
            "needs_approval": self.next_status == "AWAITING_APPROVAL", "would_pass": self.denial is None,
            "denial": self.denial,
            "checks": [
                {"check": "buying_power", "passes": True, "largest_passing": "243", "code": "BUYING_POWER",
                 "limit": "100000.00", "message": None},
                {"check": "session", "passes": True, "largest_passing": None, "code": None, "limit": None,
                 "message": None},
            ],
        })  # fmt: skip

    def _find_order(self, call: Request, _person: str) -> Response:
        client_order_id = call.query["client_order_id"]
        return Response(
            body=[order for order in self.orders.values() if order["client_order_id"] == client_order_id]
        )

    def _recent_orders(self, call: Request, _person: str) -> Response:
        filters = {name: call.query[name] for name in ("symbol", "side") if name in call.query}
        return Response(
            body=[order for order in self.orders.values() if filters.items() <= order.items()][::-1]
        )

    def _get_order(self, call: Request, _person: str) -> Response:
        order = self.orders.get(call.path.rpartition("/")[2])
        return Response(body=order) if order else build_problem(404, "No order.", kind="not-found")

    def _replace_order(self, call: Request, person: str) -> Response:
        previous = self.orders[call.path.rpartition("/")[2]]
        order = self.add(previous | call.body, person)
        self.move(order["id"], "ACCEPTED", person)
        previous["replaced_by"] = order["id"]
        self.move(previous["id"], "REPLACED", person)
        return Response(200, order)

    def _cancel_order(self, call: Request, person: str) -> Response:
        order = self.orders[call.path.split("/")[-2]]
        if order["status"] in FINAL:
            sentence = f"Order {order['id']} is {order['status']} and cannot be changed or canceled."
            return build_problem(409, sentence, kind="order-is-final")
        self.move(order["id"], "CANCELED", person)
        return Response(200, order)

    def _close_position(self, call: Request, person: str) -> Response:
        body = call.body | {"side": "SELL", "type": "MARKET", "quantity": "50"}
        order = self.add(body, person, role="closing")
        self.fill(order["id"], "50", "411.00")
        return Response(201, order)

    def _approvals(self, _call: Request, _person: str) -> Response:
        return Response(body=self.waiting)

    def _approve(self, call: Request, person: str) -> Response:
        return self._decide(call, person, "ACCEPTED")

    def _reject(self, call: Request, person: str) -> Response:
        return self._decide(call, person, "DENIED")

    def _decide(self, call: Request, person: str, status: str) -> Response:
        order = self.orders[call.path.split("/")[-2]]
        if order["actor"] == person:
            return build_problem(403, f"You placed order {order['id']} yourself.", kind="own-order")
        if order["status"] != "AWAITING_APPROVAL":
            sentence = f"Order {order['id']} was already approved by slack:T1:U2."
            return build_problem(409, sentence, kind="not-awaiting-approval")
        self.move(order["id"], status, person, call.body.get("reason", ""))
        return Response(200, order)

    def _reverse(self, _call: Request, _person: str) -> Response:
        return Response(201, {"success": True})


def build_order_json(order_id: str, body: dict[str, Any], person: str) -> dict[str, Any]:
    return {
        "id": order_id,
        "status": "INITIALIZED",
        "portfolio_name": body["portfolio_name"],
        "symbol": body["symbol"],
        "side": body["side"],
        "quantity": body.get("quantity", "12"),
        "type": body["type"],
        "time_in_force": body.get("time_in_force", "DAY"),
        "filled_quantity": "0",
        "leaves_quantity": body.get("quantity", "12"),
        "average_price": None,
        "expires_at": None,
        "client_order_id": body.get("client_order_id", ""),
        "actor": person or None,
        "source": "strategy-1",
        "created_at": "2026-11-29T10:00:00.000000Z",
        "replaced_by": None,
        "parent_id": None,
        "role": None,
        "legs": [],
        "denial": None,
    }


def build_cash_json(name: str) -> dict[str, Any]:
    return {
        "portfolio_name": name,
        "base_currency": "USD",
        "cash": "100000.00",
        "buying_power": "100000.00",
    }


def build_denial_json(**changes: Any) -> dict[str, Any]:
    values = {
        "code": "MAX_ORDER_QUANTITY",
        "message": "An order may have at most 40 units.",
        "limit": "40",
        "asked": "50",
        "largest_passing": "40",
        "nearest_price": None,
    }
    return values | changes
