"""A client that requests, approves and rejects orders."""

from operator import itemgetter
from typing import Any

import orjson

from app.events.queries import iterate_events
from app.identity.rules.access import Role
from tests.access.api_operations import Members
from tests.support.service import ApiClient


class ApprovalClient:
    """A client whose portfolio Growth has a policy, with a person of each role."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api
        self.members = Members(api.service, api)
        api.open_portfolio()
        api.set_quote("AAPL", "99", "101", "100")

    def set_policy(self, mode: str | None = "always", **fields: Any) -> None:
        """Set the policy of Growth."""
        approvers = {"approvers": ["role:approver", "role:admin"]}
        policy = None if mode is None else {"mode": mode, "expires_minutes": 30} | approvers | fields
        response = self.api.patch("/portfolios/Growth", {"approval": policy})
        assert response.status_code == 200, response.text

    def build_headers(self, role: str) -> dict[str, str]:
        return self.members.headers(Role(role))

    def get_person(self, role: str) -> str:
        return self.members.person(Role(role))

    def post_order(self, role: str = "trader", **changes: Any) -> Any:
        body = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "10"}
        return self.api.post(
            "/orders", body | {"type": "MARKET", "confirm_repeat": True} | changes, self.build_headers(role)
        )

    def place_order(self, role: str = "trader", **changes: Any) -> Any:
        response = self.post_order(role, **changes)
        assert response.status_code == 201, response.text
        return response.json()

    def decide_order(self, order: Any, how: str = "approve", role: str = "approver", **body: Any) -> Any:
        return self.api.post(f"/orders/{order['id']}/{how}", body, self.build_headers(role))

    def approve_order(self, order: Any, **fields: Any) -> Any:
        response = self.decide_order(order, **fields)
        assert response.status_code == 200, response.text
        return response.json()

    def get_status(self, order: Any) -> str:
        return str(self.api.get_order(order["id"])["status"])

    def list_waiting_orders(self, role: str = "approver") -> list[Any]:
        response = self.api.get("/approvals", self.build_headers(role))
        assert response.status_code == 200, response.text
        return list(response.json())

    def list_events(self, prefix: str = "approval.") -> list[Any]:
        with self.api.service.open_connection() as connection:
            events = list(iterate_events(connection, [f"{prefix}*" if prefix.endswith(".") else prefix]))
        return [
            (kind, orjson.loads(payload))
            for _, tenant_id, kind, payload, _ in sorted(events, key=itemgetter(0))
            if tenant_id == self.api.tenant_id
        ]
