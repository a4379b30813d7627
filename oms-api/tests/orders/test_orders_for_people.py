"""Orders that a bot places for a person: the actor, the filter by user, and repeated orders."""

from tests.factories import build_ticket_body


def build_slack_user_id(market):
    """Return the ID of a person in the tenant's own Slack workspace. A workspace belongs to one tenant."""
    return f"slack:T{market.tenant_id}:U1"


def create_order_sender(market):
    """Return a function that places orders for a person through the key of a bot."""
    bot = market.with_key(market.service.create_key("trade act_as", market.tenant_id))
    market.claim_workspace(f"T{market.tenant_id}")
    person = {"X-On-Behalf-Of": build_slack_user_id(market)}

    def place(**changes):
        return bot.post("/orders", build_ticket_body(**changes), person)

    return place


def test_duplicate_order_of_a_user_requires_confirmation(market):
    place = create_order_sender(market)
    first = place()
    assert (first.status_code, first.json()["actor"]) == (201, build_slack_user_id(market))
    repeated = place()
    assert (repeated.status_code, repeated.json()["denial"]["code"]) == (422, "REPEAT_ORDER")
    assert place(confirm_repeat=True).status_code == 201
    assert place(quantity="11").status_code == 201
    assert [market.post_order().status_code for _ in range(2)] == [201, 201]


def test_records_of_delegated_requests_name_the_user(market):
    order = create_order_sender(market)(reason="Earnings").json()
    assert {event["actor"] for event in market.get_order(order["id"])["events"]} == {
        build_slack_user_id(market),
        "paper",
    }
    (trade,) = market.list_trades()
    assert trade["actor"] == build_slack_user_id(market)


def test_orders_are_filtered_by_placing_user_and_named_user(market):
    own_order = create_order_sender(market)().json()["id"]
    order_of_another = market.place_order(user_id="U123")["id"]
    assert [order["id"] for order in market.get("/orders", user=build_slack_user_id(market)).json()] == [
        own_order
    ]
    assert [order["id"] for order in market.get("/orders", user="U123").json()] == [order_of_another]
