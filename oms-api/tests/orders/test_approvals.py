"""Orders that wait for approval: their conditions, their approvers, and changes in the meantime."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text

from app.database import unit_of_work
from app.identity.rules.access import Role
from tests.orders.approval_client import ApprovalClient
from tests.support.people import PASSWORD
from tests.support.service import ApiClient

LIMIT = {"type": "LIMIT", "time_in_force": "GTC"}
EXITS = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "80"}}


@pytest.fixture
def client(api: ApiClient) -> ApprovalClient:
    """Provide a client at which every order waits."""
    made = ApprovalClient(api)
    made.set_policy()
    return made


def test_covered_order_waits_and_fills_after_approval(client):
    order = client.place_order()
    assert (order["status"], order["filled_quantity"]) == ("AWAITING_APPROVAL", "0")
    approved = client.approve_order(order, reason="Fine")
    assert (approved["status"], approved["average_price"]) == ("FILLED", "101.00")
    history = client.api.get_order(order["id"])["events"]
    granted = next(move for move in history if move["from_status"] == "AWAITING_APPROVAL")
    assert (granted["actor"], granted["reason"]) == (client.get_person("approver"), "Fine")
    assert [kind for kind, _ in client.list_events()] == ["approval.requested", "approval.granted"]
    assert client.list_events()[1][1]["decided_by"] == client.get_person("approver")


def test_preview_reports_whether_the_order_would_wait(client):
    def needs_approval(**changes: Any) -> bool:
        body = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "10"}
        response = client.api.post("/orders:preview", body | {"type": "MARKET"} | changes)
        return bool(response.json()["needs_approval"])

    assert needs_approval()
    assert not needs_approval(quantity="1000000")  # buying power denies it: it would not wait
    client.set_policy("above_value", value="2000")
    assert not needs_approval()
    assert needs_approval(quantity="20")
    client.set_policy(None)
    assert not needs_approval(quantity="20")
    assert client.list_waiting_orders() == []


def test_rejected_approval_ends_the_order(client):
    order = client.place_order()
    body = client.decide_order(order, "reject", reason="Too large").json()
    assert body["status"] == "DENIED"
    assert body["denial"]["code"] == "APPROVAL_REJECTED"
    assert body["denial"]["message"] == f"{client.get_person('approver')} rejected it: Too large"
    assert [kind for kind, _ in client.list_events()] == ["approval.requested", "approval.rejected"]
    assert client.list_events("risk.denied") == []
    assert client.decide_order(order, "reject").status_code == 422  # a reason is needed


@pytest.mark.any_database
def test_policy_decides_which_orders_wait(client):
    def get_first_status(**changes: Any) -> str:
        return str(client.place_order(**LIMIT, limit_price="90", **changes)["status"])

    client.set_policy("above_value", value="900")
    assert [get_first_status(quantity=size) for size in ("10", "11")] == ["ACCEPTED", "AWAITING_APPROVAL"]
    client.set_policy("above_equity_share", value="0.2")  # of 1,000,000: 2,000
    assert [get_first_status(quantity=size) for size in ("22", "23")] == ["ACCEPTED", "AWAITING_APPROVAL"]
    client.set_policy("instruments", instruments=["TSLA"])
    client.api.set_quote("TSLA", "99", "101", "100")
    assert [get_first_status(symbol=name) for name in ("AAPL", "TSLA")] == ["ACCEPTED", "AWAITING_APPROVAL"]
    client.set_policy(None)
    assert get_first_status() == "ACCEPTED"


@pytest.mark.any_database
def test_closing_order_never_waits_for_approval(client):
    client.approve_order(client.place_order(quantity="10"))
    assert client.place_order(side="SELL", quantity="4")["status"] == "FILLED"
    assert (
        client.place_order(side="SELL", quantity="7", **LIMIT, limit_price="110")["status"]
        == "AWAITING_APPROVAL"
    )
    closed = client.api.post("/positions:close", {"portfolio_name": "Growth", "symbol": "AAPL"})
    assert closed.json()["status"] == "FILLED"


def test_bracket_exits_are_held_until_the_entry_is_approved(client):
    order = client.place_order(**EXITS)
    assert order["status"] == "AWAITING_APPROVAL"
    assert {leg["status"] for leg in order["legs"]} == {"HELD"}
    approved = client.approve_order(order)
    assert approved["status"] == "FILLED"
    assert {leg["status"] for leg in approved["legs"]} == {"ACCEPTED"}
    rejected = client.place_order(**EXITS)
    legs = client.decide_order(rejected, "reject", reason="No").json()["legs"]
    assert {leg["status"] for leg in legs} == {"CANCELED"}


@pytest.mark.any_database
@pytest.mark.parametrize("how", ["approve", "reject"])
def test_oco_pair_is_decided_together(client, how):
    pair_terms = [{**LIMIT, "limit_price": "90"}, {"type": "STOP", "stop_price": "110"}]
    base = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "10"}
    body = {"kind": "OCO", "orders": [base | terms for terms in pair_terms]}
    first, second = client.api.post("/orders:group", body, client.build_headers("trader")).json()["orders"]
    assert {first["status"], second["status"]} == {"AWAITING_APPROVAL"}
    assert client.decide_order(second, how, reason="So be it").status_code == 200
    expected = "ACCEPTED" if how == "approve" else "DENIED"
    assert {client.get_status(first), client.get_status(second)} == {expected}


@pytest.mark.any_database
def test_oto_child_is_approved_with_its_parent(client):
    client.api.set_quote("TSLA", "99", "101", "100")
    base = {"portfolio_name": "Growth", "side": "BUY", "type": "MARKET"}

    def placed(quantity: str) -> tuple[Any, Any]:
        orders = [base | {"symbol": symbol, "quantity": quantity} for symbol in ("AAPL", "TSLA")]
        body = {"kind": "OTO", "orders": orders}
        response = client.api.post("/orders:group", body, client.build_headers("trader"))
        assert response.status_code == 201, response.text
        first, second = response.json()["orders"]
        return first, second

    first, second = placed("10")
    assert (first["status"], second["status"]) == ("AWAITING_APPROVAL", "HELD")
    client.approve_order(first)
    assert client.get_status(second) == "FILLED"
    client.set_policy("instruments", instruments=["TSLA"])  # the first needs no approval, the second does
    first, second = placed("11")
    assert (first["status"], client.get_status(second)) == ("FILLED", "AWAITING_APPROVAL")
    client.approve_order(second)
    assert client.get_status(second) == "FILLED"


@pytest.mark.any_database
def test_waiting_order_can_be_cancelled_by_user_and_by_halt(client):
    order = client.place_order()
    assert client.api.post(f"/orders/{order['id']}/cancel", {}).json()["status"] == "CANCELED"
    response = client.decide_order(order)
    assert (response.status_code, response.json()["decision"]) == (409, "canceled")
    other = client.place_order()
    halt = {"scope": "tenant", "state": "HALTED", "reason": "Stop"}
    assert client.api.post("/kill-switch", halt).json()["canceled"] == [other["id"]]


@pytest.mark.any_database
def test_waiting_order_reserves_buying_power_but_is_not_an_opposite_order(client):
    free = client.place_order(quantity="9000")
    assert free["status"] == "AWAITING_APPROVAL"
    denied = client.post_order(quantity="2000")
    assert denied.json()["denial"]["code"] == "BUYING_POWER"
    client.decide_order(free, "reject", reason="Not today")
    first = client.place_order(**LIMIT, limit_price="100", quantity="1")
    assert (
        client.place_order(side="SELL", **LIMIT, limit_price="100", quantity="1")["status"]
        == "AWAITING_APPROVAL"
    )
    assert client.get_status(first) == "AWAITING_APPROVAL"


def test_risk_checks_run_again_at_approval_prices(client):
    order = client.place_order(quantity="100")
    limit = {"scope": "tenant", "name": None, "code": "MAX_ORDER_VALUE", "value": "5000"}
    assert client.api.put("/limits", limit).status_code == 200
    (waiting_order,) = client.list_waiting_orders()
    assert waiting_order["denial"]["code"] == "MAX_ORDER_VALUE"
    refused = client.decide_order(order)
    assert (refused.status_code, refused.json()["denial"]["code"]) == (422, "MAX_ORDER_VALUE")
    assert client.get_status(order) == "DENIED"
    assert client.list_waiting_orders() == []


@pytest.mark.any_database
def test_approval_after_a_price_move_requires_the_current_price(client):
    order = client.place_order()
    client.api.set_quote("AAPL", "100", "102", "101")  # exactly 1%
    waiting = client.place_order()
    assert client.approve_order(order)["average_price"] == "102.00"
    client.api.set_quote("AAPL", "103", "105", "104")
    response = client.decide_order(waiting)
    body = response.json()
    assert (response.status_code, body["price_seen"], body["price"]) == (409, "101.00", "104.00")
    assert body["max_move_percent"] == "1"
    assert client.get_status(waiting) == "AWAITING_APPROVAL"
    assert client.decide_order(waiting, price_seen="101").status_code == 409
    assert client.approve_order(waiting, price_seen="104")["average_price"] == "105.00"


def test_approval_list_shows_prices_at_request_and_now(client):
    order = client.place_order()
    client.api.set_quote("AAPL", "199", "201", "200")
    (waiting_order,) = client.list_waiting_orders()
    assert waiting_order["order"]["id"] == order["id"]
    assert (waiting_order["price_seen"], waiting_order["price"]) == ("100.00", "200.00")
    assert (waiting_order["then"]["price"], waiting_order["then"]["value"]) == ("101.00", "1010.00")
    assert (waiting_order["now"]["price"], waiting_order["now"]["value"]) == ("201.00", "2010.00")
    assert (waiting_order["then"]["cash_after"], waiting_order["now"]["cash_after"]) == (
        "998990.00",
        "997990.00",
    )
    assert (waiting_order["now"]["gross_exposure"], waiting_order["now"]["position_after"]) == ("0.00", "10")
    assert waiting_order["denial"] is None
    assert (waiting_order["requested_by"], waiting_order["rule"]) == (client.get_person("trader"), "always")


@pytest.mark.any_database
def test_approval_list_applies_its_limit_to_the_orders_that_the_caller_may_decide(client, monkeypatch):
    monkeypatch.setattr("app.orders.service.approval.approval_review._PAGE_SIZE", 2)
    for _ in range(2):
        client.place_order("admin")
    client.set_policy(approvers=["role:risk"])
    client.place_order()
    client.set_policy()
    orders = [client.place_order() for _ in range(3)]

    def list_ids(limit: int) -> list[str]:
        response = client.api.get(f"/approvals?limit={limit}", client.build_headers("admin"))
        return [approval["order"]["id"] for approval in response.json()]

    assert list_ids(1) == [orders[0]["id"]]
    assert list_ids(100) == [order["id"] for order in orders]


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("approvers", "allowed"),
    [
        (["role:admin"], {"admin"}),
        (["role:risk"], {"risk"}),
        (["role:approver", "role:risk"], {"approver", "risk"}),
        (["{viewer}"], set()),
        (["{risk}"], {"risk"}),
    ],
)
def test_policy_names_the_approvers(client, approvers, allowed):
    people = {role.value: client.get_person(role.value) for role in Role}
    client.set_policy(approvers=[approver.format(**people) for approver in approvers])
    for role in (role.value for role in Role if role is not Role.TRADER):
        order = client.place_order()
        may = role in allowed
        assert bool(client.list_waiting_orders(role)) == may, role
        assert (client.decide_order(order, role=role).status_code == 200) == may, role
        client.api.post(f"/orders/{order['id']}/cancel", {})


def test_user_cannot_approve_their_own_order_through_any_key(client):
    client.set_policy(approvers=["role:approver", "role:admin"])
    own = client.place_order("approver")
    other_key = client.api.service.create_key("admin", client.api.tenant_id)
    for key in (client.members.key, other_key):
        sent = {"X-API-Key": key, "X-On-Behalf-Of": client.get_person("approver")}
        response = client.api.post(f"/orders/{own['id']}/approve", {}, sent)
        assert (response.status_code, response.json()["type"]) == (403, "urn:slackoms:problem/own-order")
    assert (
        client.api.post(f"/orders/{own['id']}/approve", {}).status_code == 403
    )  # a key that acts for nobody
    assert client.list_waiting_orders("approver") == []
    assert client.approve_order(own, role="admin")["status"] == "FILLED"


def test_user_cannot_approve_an_order_placed_by_their_key(client):
    client.set_policy(approvers=["role:admin"])
    api_key = client.api.post(
        "/api-keys", {"name": "algo", "scopes": ["trade"]}, client.build_headers("admin")
    ).json()
    body = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "1", "type": "MARKET"}
    automatic = client.api.with_key(api_key["key"]).post("/orders", body).json()
    assert client.decide_order(automatic, role="admin").status_code == 403


def test_user_cannot_approve_in_slack_an_order_placed_in_a_login_session(client):
    eve = {"email": "eve@example.com", "name": "Eve", "password": PASSWORD, "role": "approver"}
    user = client.api.post("/users", eve).json()
    slack = f"slack:{client.members.team}:UEVE"
    set_person(client, user, slack)
    credentials = {"tenant": f"desk-{client.api.tenant_id}", "email": eve["email"], "password": PASSWORD}
    http = client.api.service.client
    token = http.post("/api/v1/auth/login", json=credentials).json()["access_token"]
    body = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "1", "type": "MARKET"}
    placed = http.post("/api/v1/orders", json=body, headers={"Authorization": f"Bearer {token}"}).json()
    assert (placed["status"], placed["actor"]) == ("AWAITING_APPROVAL", "eve@example.com")
    sent = {"X-API-Key": client.members.key, "X-On-Behalf-Of": slack}
    response = client.api.post(f"/orders/{placed['id']}/approve", {}, sent)
    set_person(client, user, None)  # other tests verify the whole database
    assert response.json()["type"] == "urn:slackoms:problem/own-order"


def set_person(client, user, person):
    """Bind a user to a Slack person in the table: no request does."""
    with unit_of_work(client.api.service.engine) as connection:
        bind = "UPDATE users SET person = :person WHERE id = :id"
        connection.execute(text(bind), {"person": person, "id": int(user["id"])})


def test_second_approver_gets_a_conflict_that_names_the_first(client):
    client.set_policy(approvers=["role:approver", "role:risk"])
    for how in ("approve", "reject"):
        order = client.place_order(quantity="1")
        decide = partial(client.decide_order, order, how, reason="Me first")
        with ThreadPoolExecutor(2) as pool:
            responses = list(pool.map(lambda role, decide=decide: decide(role=role), ("approver", "risk")))
        won, lost = sorted(responses, key=lambda response: response.status_code)
        assert (won.status_code, lost.status_code) == (200, 409)
        body = lost.json()
        winner = next(
            move["actor"]
            for move in client.api.get_order(order["id"])["events"]
            if move["from_status"] == "AWAITING_APPROVAL"
        )
        assert body["decided_by"] == winner
        assert winner in body["detail"]
        assert body["decision"] == ("approved" if how == "approve" else "rejected")


def test_repeated_decision_returns_the_same_answer(client):
    order = client.place_order()
    headers = client.build_headers("approver") | {"Idempotency-Key": "once"}
    responses = [client.api.post(f"/orders/{order['id']}/approve", {}, headers) for _ in range(2)]
    assert [response.status_code for response in responses] == [200, 200]
    assert responses[1].headers["idempotent-replayed"] == "true"
    assert len(client.list_events()) == 2


@pytest.mark.any_database
def test_larger_replacement_needs_a_new_approval(client):
    order = client.approve_order(client.place_order(**LIMIT, limit_price="90"))
    path = f"/orders/{order['id']}"
    less = client.api.patch(
        path, {"quantity": "9", "limit_price": "89"}, client.build_headers("trader")
    ).json()
    assert less["status"] == "ACCEPTED"
    more = client.api.patch(
        f"/orders/{less['id']}", {"limit_price": "91"}, client.build_headers("trader")
    ).json()
    assert more["status"] == "AWAITING_APPROVAL"
    again = client.api.patch(
        f"/orders/{more['id']}", {"quantity": "8"}, client.build_headers("trader")
    ).json()
    assert again["status"] == "AWAITING_APPROVAL"
    assert client.get_status(more) == "REPLACED"
    approved = client.approve_order(again)
    assert (approved["status"], approved["quantity"], approved["limit_price"]) == ("ACCEPTED", "8", "91.00")


@pytest.mark.any_database
def test_partially_filled_order_keeps_fills_while_its_replacement_waits(client):
    order = client.approve_order(client.place_order(**LIMIT, limit_price="98"))
    client.api.set_quote("AAPL", "97", "98", "98", ask_size="4")
    more = client.api.patch(
        f"/orders/{order['id']}", {"quantity": "20"}, client.build_headers("trader")
    ).json()
    assert (more["status"], more["filled_quantity"], more["leaves_quantity"]) == (
        "AWAITING_APPROVAL", "4", "16",
    )  # fmt: skip
    denied = client.decide_order(more, "reject", reason="Enough").json()
    assert (denied["status"], denied["filled_quantity"]) == ("DENIED", "4")


@pytest.mark.any_database
def test_other_tenants_and_restricted_users_see_no_waiting_orders(client):
    client.place_order()
    other = ApprovalClient(client.api.service.create_client())
    assert other.list_waiting_orders("admin") == []
    assert client.api.get("/approvals").json() == []  # the key acts for nobody
    assert client.list_waiting_orders("viewer") == []
    assert client.list_waiting_orders("trader") == []
