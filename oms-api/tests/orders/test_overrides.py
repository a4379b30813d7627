"""An override lets one denied order exceed a limit: two people, for a short time, on record."""

import pytest

from tests.orders.approval_client import ApprovalClient

CAP = {"scope": "tenant", "name": None, "code": "MAX_ORDER_VALUE", "value": "500"}


@pytest.fixture
def client(api) -> ApprovalClient:
    """Provide a client without a policy, whose orders may be worth 500."""
    made = ApprovalClient(api)
    assert api.put("/limits", CAP).status_code == 200
    return made


def place_denied_order(client, role="trader", **changes):
    response = client.post_order(role, **changes)
    assert response.status_code == 422, response.text
    return response.json()["order_id"]


def request_override(client, order_id, role="trader", **body):
    return client.api.post(
        f"/orders/{order_id}/override", {"reason": "Client block"} | body, client.build_headers(role)
    )


def test_override_by_a_second_user_lets_one_order_exceed_a_limit(client):
    order_id = place_denied_order(client)
    waiting = request_override(client, order_id)
    assert (waiting.status_code, waiting.json()["status"]) == (201, "AWAITING_APPROVAL")
    (waiting_order,) = client.list_waiting_orders("risk")
    assert (waiting_order["rule"], waiting_order["waived"], waiting_order["override_of"]) == (
        "override",
        "MAX_ORDER_VALUE",
        order_id,
    )
    assert (waiting_order["reason"], waiting_order["denial"]) == ("Client block", None)
    assert client.list_waiting_orders("approver") == []
    assert client.decide_order(waiting.json(), role="approver").status_code == 403
    assert client.approve_order(waiting.json(), role="risk")["status"] == "FILLED"
    assert client.post_order().status_code == 422  # the next one is denied as before
    assert [kind for kind, _ in client.list_events()] == ["approval.requested", "approval.granted"]
    assert request_override(client, order_id).json()["type"] == "urn:slackoms:problem/not-overridable"


def test_user_cannot_grant_their_own_override(client):
    order_id = place_denied_order(client, "trader")
    waiting = request_override(client, order_id, "admin").json()
    assert client.decide_order(waiting, role="admin").json()["type"] == "urn:slackoms:problem/own-order"
    assert client.approve_order(waiting, role="risk")["status"] == "FILLED"


@pytest.mark.any_database
def test_override_applies_only_to_the_named_limit(client):
    order_id = place_denied_order(client)
    assert client.api.put("/limits", CAP | {"code": "MAX_ORDER_QUANTITY", "value": "5"}).status_code == 200
    refused = request_override(client, order_id)
    assert (refused.status_code, refused.json()["denial"]["code"]) == (422, "MAX_ORDER_QUANTITY")
    assert client.list_events() == []
    assert client.api.put("/limits", CAP | {"code": "MAX_ORDER_QUANTITY", "value": None}).status_code == 200
    waiting = request_override(client, order_id, expires_minutes=5).json()
    assert client.api.put("/limits", CAP | {"code": "MAX_ORDER_QUANTITY", "value": "5"}).status_code == 200
    assert client.decide_order(waiting, role="risk").json()["denial"]["code"] == "MAX_ORDER_QUANTITY"


@pytest.mark.any_database
def test_switches_permissions_prices_and_buying_power_cannot_be_overridden(client):
    def get_denial_code(order_id):
        response = request_override(client, order_id)
        assert response.status_code == 409, response.text
        return response.json()["detail"].split()[0]

    assert client.api.put("/limits", CAP | {"value": None}).status_code == 200
    assert get_denial_code(place_denied_order(client, quantity="100000")) == "BUYING_POWER"
    assert get_denial_code(place_denied_order(client, type="LIMIT", limit_price="150")) == "PRICE_COLLAR"
    lists = {"scope": "tenant", "name": None, "code": "ALLOWED_SIDES", "value": "SELL"}
    assert client.api.put("/limits", lists).status_code == 200
    assert get_denial_code(place_denied_order(client)) == "NOT_PERMITTED"
    halt = {"scope": "tenant", "state": "HALTED", "reason": "Stop"}
    assert client.api.post("/kill-switch", halt).status_code == 200
    assert get_denial_code(place_denied_order(client)) == "HALTED"


@pytest.mark.any_database
def test_override_needs_a_single_denied_order(client):
    working = client.place_order(type="LIMIT", limit_price="90", quantity="1")
    assert request_override(client, working["id"]).status_code == 409
    bracket = place_denied_order(client, stop_loss={"stop_price": "80"})
    assert "without exits" in request_override(client, bracket).json()["detail"]
    order_id = place_denied_order(client)
    assert request_override(client, order_id, reason="").status_code == 422
    assert client.api.post(f"/orders/{order_id}/override", {"reason": "Alone"}).status_code == 403
    first = request_override(client, order_id).json()
    assert "already" in request_override(client, order_id).json()["detail"]
    client.decide_order(first, "reject", role="risk", reason="No")
    assert request_override(client, order_id).status_code == 201  # after a no it may be asked for again
