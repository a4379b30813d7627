"""Events of the OMS redraw overviews, and show stops of trading."""

import pytest

from app.delivery.banner_store import Banner
from app.events.registry import Event, EventRegistry
from app.events.subscriptions import register_subscriptions
from app.forms.overview_tabs import Tab
from app.oms_client import Person
from tests.conftest import Workspace

LOSSES = {
    "scope": "portfolio",
    "name": "Growth",
    "state": "REDUCING",
    "reason": None,
    "set_by": "~loss limits",
}


@pytest.fixture
def registry() -> EventRegistry:
    registry = EventRegistry()
    register_subscriptions(registry)
    return registry


def handle_event(workspace: Workspace, registry: EventRegistry, kind: str, **payload):
    registry.handle(workspace.bot.services, Event("E1", kind, "2026-11-29T10:00:00.000000Z", payload))


def test_fill_redraws_the_overviews_that_show_orders(workspace: Workspace, registry):
    workspace.bot.services.overview_viewers.record(Person("T1", "U1"), Tab.ORDERS)
    handle_event(workspace, registry, "order.filled", order_id="O1")
    assert workspace.slack.wait_for("views.publish")[0].body["user_id"] == "U1"


def test_stop_by_a_loss_limit_is_shown_in_the_channel_until_it_ends(workspace: Workspace, registry):
    services = workspace.bot.services
    object.__setattr__(services, "trading_channel", "C9")
    handle_event(workspace, registry, "kill_switch.reducing", **LOSSES)
    banner = workspace.slack.wait_for("chat.postMessage")[0].body
    assert banner["channel"] == "C9"
    assert "Trading of Growth is REDUCING* by `~loss limits`: no reason given" in banner["text"]
    handle_event(
        workspace, registry, "kill_switch.activated", **LOSSES | {"state": "ACTIVE", "reason": "A new day"}
    )
    assert (
        "was resumed* by `~loss limits`: A new day" in workspace.slack.wait_for("chat.update")[0].body["text"]
    )


@pytest.mark.parametrize("change", [{"set_by": "slack:T1:U1"}, {"scope": "strategy"}])
def test_stops_of_slack_users_and_strategies_are_not_shown_again(workspace: Workspace, registry, change):
    services = workspace.bot.services
    object.__setattr__(services, "trading_channel", "C9")
    services.banners.add("Growth", Banner("C1", "1.0"))
    handle_event(workspace, registry, "kill_switch.halted", **LOSSES | change)
    services.send_queue.close(60.0)
    assert workspace.slack.calls == []


def test_without_a_channel_nothing_is_posted(workspace: Workspace, registry):
    handle_event(workspace, registry, "kill_switch.halted", **LOSSES)
    workspace.bot.services.send_queue.close(60.0)
    assert workspace.slack.calls == []


def test_orders_still_open_at_brokers_are_listed_in_the_channel(workspace: Workspace, registry):
    object.__setattr__(workspace.bot.services, "trading_channel", "C9")
    order = {"order_id": "O1", "portfolio_name": "Growth", "broker": "alpaca", "symbol": "AAPL"}
    orders = [order | {"side": "BUY", "leaves": "100"}]
    handle_event(
        workspace, registry, "cancellation.unconfirmed", **LOSSES | {"state": "HALTED", "orders": orders}
    )
    text = workspace.slack.wait_for("chat.postMessage")[0].body["text"]
    assert "O1: BUY 100 AAPL in Growth at alpaca" in text
    assert "HALTED" in text
