"""`/desk settings`: the form of the preferences, and their effect on forms and replies."""

import json

import pytest

from tests import factories, portfolio_oms
from tests.fakes import Response, build_problem
from tests.handlers.portfolio_workspace import PortfolioWorkspace
from tests.limits import check_message, check_view
from tests.views import index_blocks

BERLIN = {
    "default_portfolio": "Growth",
    "order_type": "LIMIT",
    "time_in_force": "GTC",
    "number_format": "1.234,5",
    "time_zone": "Europe/Berlin",
}


@pytest.fixture
def settings_view(trading: PortfolioWorkspace):
    trading.oms.rows["/preferences"] = portfolio_oms.build_preferences(
        **BERLIN, notify={"order.*": "bundle", "limit.changed": "ping"}
    )
    trading.type("settings", "/desk")
    return trading.wait_for_view()


def get_initial_value(view, block_id):
    element = index_blocks({"view": view})[block_id]["element"]
    return element.get("initial_value") or (element.get("initial_option") or {}).get("value")


def test_form_shows_the_preferences(settings_view):
    check_view(settings_view)
    assert {name: get_initial_value(settings_view, name) for name in BERLIN} == BERLIN
    assert get_initial_value(settings_view, "quiet_hours") == "22:00 to 07:00"
    assert get_initial_value(settings_view, "watchlists") == "Tech: AAPL"
    assert [
        get_initial_value(settings_view, f"notify:{name}") for name in ("order.filled", "alert.fired")
    ] == [
        "bundle",
        "ping",
    ]


def test_form_replaces_the_preferences(trading: PortfolioWorkspace, settings_view):
    trading.oms.results["PUT /preferences"] = Response(
        body=portfolio_oms.build_preferences(time_zone="Asia/Tokyo")
    )
    entries = {
        "default_portfolio": "Income", "quiet_hours": "9:30 - 10:00", "time_zone": "Asia/Tokyo",
        "watchlists": "Tech: msft, AAPL AAPL\nEnergy: XOM", "notify:order.filled": "ping",
    }  # fmt: skip
    response = trading.submit_view(settings_view, **entries)
    assert "time zone: Asia/Tokyo" in response["view"]["blocks"][0]["text"]["text"]
    ((method, path, body),) = trading.oms.changes.values()
    assert (method, path) == ("PUT", "/preferences")
    assert body == {
        "default_portfolio": "Income",
        "order_type": "LIMIT",
        "time_in_force": "GTC",
        "number_format": "1.234,5",
        "time_zone": "Asia/Tokyo",
        "quiet_hours": {"from": "09:30", "to": "10:00"},
        "watchlists": {"Tech": ["MSFT", "AAPL"], "Energy": ["XOM"]},
        "notify": body["notify"],
    }
    assert body["notify"]["order.filled"] == "ping"
    assert body["notify"]["limit.changed"] == "ping"


def test_invalid_entries_are_reported_at_their_fields(trading: PortfolioWorkspace, settings_view):
    body = trading.submit_view(settings_view, quiet_hours="late", watchlists="AAPL")
    assert body["errors"].keys() == {"quiet_hours", "watchlists"}
    assert trading.oms.changes == {}
    errors = [{"field": "time_zone", "message": "Must be an IANA time zone."}]
    trading.oms.results["PUT /preferences"] = build_problem(422, "Not valid.", errors)
    body = trading.submit_view(settings_view)
    assert body["errors"] == {"time_zone": "Must be an IANA time zone."}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("berlin", "Europe/Berlin"), ("new york", "America/New_York"), ("", "UTC"), ("zzz", "/")],
)
def test_time_zones_are_searched(trading: PortfolioWorkspace, typed, expected):
    payload = factories.build_interaction(
        "block_suggestion", block_id="time_zone", action_id="settings:time_zone", value=typed,
        view=factories.build_view(),
    )  # fmt: skip
    assert expected in [option["value"] for option in trading.deliver(payload).get_json()["options"]]


def test_portfolios_are_searched(trading: PortfolioWorkspace):
    trading.oms.rows["/portfolios"] = [portfolio_oms.build_portfolio()]
    payload = factories.build_interaction(
        "block_suggestion", block_id="default_portfolio", action_id="settings:portfolio", value="gro",
        view=factories.build_view(),
    )  # fmt: skip
    assert [option["value"] for option in trading.deliver(payload).get_json()["options"]] == ["Growth"]


def test_direct_message_shows_the_settings_with_a_button(trading: PortfolioWorkspace):
    trading.oms.rows["/preferences"] = portfolio_oms.build_preferences(
        watchlists={f"{'L' * 98}{number:02}": ["S" * 40] * 200 for number in range(20)}, quiet_hours=None
    )
    trading.write_directly("settings")
    message = trading.slack.wait_for("chat.postMessage")[0].body
    check_message(message["text"], message["blocks"])
    assert "Quiet hours: none" in message["text"]
    assert message["blocks"][-1]["elements"][0]["value"] == "settings"
    trading.type("settings", "/desk")
    check_view(trading.wait_for_view())


def test_numbers_are_written_as_the_person_prefers_unless_others_read_them(trading: PortfolioWorkspace):
    trading.oms.rows["/preferences"] = portfolio_oms.build_preferences(number_format="1.234,5")
    message = trading.query("Growth", "/portfolio")
    assert "equity 1.000.500,00 USD" in message["text"]
    assert "17.500,00" in json.dumps(message["blocks"])
    assert "equity 1,000,500.00 USD" in trading.query("Growth share", "/portfolio")["text"]


def test_order_form_starts_with_defaults_and_command_values(
    trading: PortfolioWorkspace,
):
    trading.oms.rows["/preferences"] = portfolio_oms.build_preferences(**BERLIN)
    trading.type("", "/order")
    first = trading.wait_for_view("V1")
    assert [get_initial_value(first, f"{name}~1") for name in ("type", "time_in_force", "portfolio")] == [
        "LIMIT",
        "GTC",
        "Growth",
    ]
    trading.type("market day in Income", "/order")
    second = trading.slack.wait_for("views.open", 2)[-1].body["view"]
    assert [get_initial_value(second, name) for name in ("type", "time_in_force", "portfolio")] == [
        "MARKET",
        "DAY",
        "Income",
    ]


def test_trade_form_starts_with_the_known_default_portfolio(trading: PortfolioWorkspace):
    trading.oms.rows["/preferences"] = portfolio_oms.build_preferences(**BERLIN)
    trading.query("positions")
    trading.type("AAPL", "/trade")
    opened = trading.slack.wait_for("views.open")[0].body["view"]
    assert get_initial_value(opened, "portfolio") == "Growth"
