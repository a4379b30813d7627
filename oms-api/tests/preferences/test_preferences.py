"""GET and PUT /preferences: of a person, and refused by field."""

import time

import pytest

from tests.support.conditions import WAIT_SECONDS

pytestmark = pytest.mark.any_database

QUIET = {"from": "22:00", "to": "07:00"}


def get_saved(response):
    assert response.status_code == 200, response.text
    return response.json()


def create_portfolios(api, *names):
    for name in names:
        assert api.post("/portfolios", {"name": name}).status_code == 201


def test_preferences_start_with_defaults(api):
    assert get_saved(api.get("/preferences")) == {
        "default_portfolio": None, "order_type": "MARKET", "time_in_force": "DAY",
        "number_format": "1,234.5", "time_zone": "UTC", "quiet_hours": None, "notify": {}, "watchlists": {},
    }  # fmt: skip


def test_put_replaces_the_fields_that_it_names(api):
    create_portfolios(api, "Growth")
    first = {"default_portfolio": "growth", "quiet_hours": QUIET, "watchlists": {"Tech": ["aapl", "MSFT"]}}
    assert get_saved(api.put("/preferences", first))["default_portfolio"] == "Growth"
    second = {"watchlists": {"Banks": ["JPM"]}, "notify": {"order.filled": "BUNDLE", "alert.*": "ping"}}
    assert get_saved(api.put("/preferences", second)) == get_saved(api.get("/preferences"))
    body = get_saved(api.get("/preferences"))
    assert body["watchlists"] == {"Banks": ["JPM"]}
    assert body["notify"] == {"order.filled": "bundle", "alert.*": "ping"}
    assert (body["quiet_hours"], body["default_portfolio"]) == (QUIET, "Growth")
    assert get_saved(api.put("/preferences", {"quiet_hours": None}))["quiet_hours"] is None


def test_each_user_has_separate_preferences(api):
    api.claim_workspace("T07")
    bot = api.with_key(api.service.create_key("admin act_as", api.tenant_id))
    people = [{"X-On-Behalf-Of": f"slack:T07:U{number}"} for number in (1, 2)]
    changed = bot.service.client.put(
        "/api/v1/preferences", json={"time_zone": "Asia/Kolkata"}, headers={"X-API-Key": bot.key, **people[0]}
    )
    assert get_saved(changed)["time_zone"] == "Asia/Kolkata"
    zones = [get_saved(bot.get("/preferences", headers))["time_zone"] for headers in (*people, {})]
    assert zones == ["Asia/Kolkata", "UTC", "UTC"]
    assert get_saved(api.service.create_client().get("/preferences"))["time_zone"] == "UTC"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"default_portfolio": "unknown"}, "default_portfolio"),
        ({"order_type": "ICEBERG"}, "order_type"),
        ({"time_in_force": "SOON"}, "time_in_force"),
        ({"number_format": "1 234,5"}, "number_format"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"quiet_hours": {"from": "25:00", "to": "07:00"}}, "quiet_hours.from"),
        ({"quiet_hours": {"from": "22:00"}}, "quiet_hours.to"),
        ({"quiet_hours": {"from": "22:00", "to": "22:00"}}, "quiet_hours.to"),
        ({"notify": {"order.filled": "shout"}}, "notify.order.filled"),
        ({"watchlists": {"Tech": ["A B"]}}, "watchlists.Tech.0"),
        ({"watchlists": {f"L{number}": [] for number in range(21)}}, "watchlists"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_invalid_preference_is_refused_by_field_and_changes_nothing(api, body, field):
    response = api.put("/preferences", {"time_zone": "Asia/Tokyo"} | body)
    assert response.status_code == 422, response.text
    assert [error["field"] for error in response.json()["errors"]] == [field]
    assert get_saved(api.get("/preferences"))["time_zone"] == "UTC"


def test_unknown_event_type_is_refused(api):
    response = api.put("/preferences", {"notify": {"filled": "ping"}})
    assert response.status_code == 422
    assert "notify.filled" in response.json()["errors"][0]["field"]


def test_invisible_portfolio_cannot_be_the_default(api):
    create_portfolios(api, "Growth", "Income")
    key = api.post("/api-keys", {"name": "income", "scopes": ["read"], "portfolios": ["Income"]}).json()[
        "key"
    ]
    response = api.with_key(key).put("/preferences", {"default_portfolio": "Growth"})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "default_portfolio"


def test_default_portfolio_is_hidden_once_the_person_may_not_see_it(api):
    create_portfolios(api, "Growth", "Income")
    api.claim_workspace("T08")
    name = "slack:T08:U1"
    body = {"name": "Alice", "role": "trader", "person": name, "portfolios": None}
    user_id = api.post("/users", body).json()["id"]
    bot = api.with_key(api.service.create_key("act_as", api.tenant_id))
    headers = {"X-API-Key": bot.key, "X-On-Behalf-Of": name}

    def put(fields):
        response = api.service.client.put("/api/v1/preferences", json=fields, headers=headers)
        return get_saved(response)["default_portfolio"]

    def read_default(expected):
        """Return the default portfolio once it is the expected one: grants are cached for half a second."""
        deadline = time.monotonic() + WAIT_SECONDS
        while True:
            default_portfolio = get_saved(bot.get("/preferences", {"X-On-Behalf-Of": name}))[
                "default_portfolio"
            ]
            if default_portfolio == expected or time.monotonic() > deadline:
                return default_portfolio
            time.sleep(0.05)

    assert put({"default_portfolio": "growth"}) == "Growth"
    assert api.patch(f"/users/{user_id}", {"portfolios": ["Income"]}).status_code == 200
    assert read_default(None) is None
    assert put({"time_zone": "Asia/Tokyo"}) is None
    assert api.patch(f"/users/{user_id}", {"portfolios": ["Growth"]}).status_code == 200
    assert read_default("Growth") == "Growth"
