"""Channels for trading, preselected portfolios, and roles from user groups."""

import json
import threading

import pytest

from app.errors import OmsError
from app.forms.context import FormContext
from app.forms.orders.context import OrderContext
from app.services.settings.slack_settings import run_group_sync, sync_group_roles
from tests import factories
from tests.conftest import Workspace
from tests.fakes import Response, build_problem
from tests.order_factories import build_order_state

GROUPS = "/slack-groups"
SETTINGS = "/slack-settings"


def test_trading_is_allowed_everywhere_if_no_channels_are_set(workspace: Workspace):
    assert workspace.submit() == {"response_action": "clear"}


def test_form_of_another_channel_is_replaced_with_a_sentence(workspace: Workspace):
    workspace.oms.channels = {"C7": {"portfolio": None}, "C8": {"portfolio": None}}
    workspace.bot.services.slack_settings._loaded_at = None
    workspace.type("AAPL")
    view = workspace.slack.wait_for("views.update")[0].body["view"]
    assert "Trading is allowed in <#C7>, <#C8> only" in str(view)
    workspace.type("buy 50 MSFT", "/order")
    assert "Trading is allowed in <#C7>" in str(workspace.slack.wait_for("views.update", 2)[1].body["view"])


def test_submission_of_another_channel_trades_nothing(workspace: Workspace):
    workspace.oms.channels = {"C7": {"portfolio": None}}
    workspace.bot.services.slack_settings._loaded_at = None
    assert "Trading is allowed in" in str(workspace.submit())
    workspace.oms.instruments["MSFT"] = "Microsoft"
    assert "Trading is allowed in" in str(workspace.submit(build_order_state(), callback_id="order_form"))
    assert workspace.oms.trades == {}
    assert workspace.oms.list_requests("place") == workspace.oms.list_requests("place_order") == []


@pytest.mark.parametrize(
    ("context", "is_allowed"),
    [
        (OrderContext(""), False),  # of the home tab
        (OrderContext("", typed_in="C1"), False),  # private
        (OrderContext("", typed_in="C7"), True),
        (OrderContext("C7"), True),
    ],
)
def test_form_that_slack_did_not_replace_is_refused_at_submission(workspace: Workspace, context, is_allowed):
    workspace.oms.channels = {"C7": {"portfolio": None}}
    workspace.bot.services.slack_settings._loaded_at = None
    workspace.oms.instruments["MSFT"] = "Microsoft"
    workspace.submit(build_order_state(), callback_id="order_form", private_metadata=context.dump())
    assert len(workspace.oms.list_requests("place_order")) == is_allowed
    workspace.submit(private_metadata=FormContext(context.channel).dump(), id="V2", root_view_id="V2")
    assert len(workspace.oms.list_requests("place")) == (context.channel == "C7")


def test_private_order_remembers_where_it_was_typed(workspace: Workspace):
    workspace.type("buy 50 MSFT private", "/order")
    view = workspace.slack.wait_for("views.open")[0].body["view"]
    context = OrderContext.load(view["private_metadata"])
    assert context.channel == ""
    assert context.trading_channel == "C1"


def test_channel_preselects_its_portfolio_unless_the_line_names_one(workspace: Workspace):
    workspace.oms.channels = {"C1": {"portfolio": "Growth"}}
    workspace.bot.services.slack_settings._loaded_at = None
    workspace.bot.services.slack_settings.get()
    workspace.type("AAPL")
    workspace.type("buy 100 AAPL @ 175 in Income")
    first, second = workspace.slack.wait_for("views.open", 2)
    views = {"Growth" in str(call.body["view"]): call.body["view"] for call in (first, second)}
    assert "Growth" in str(views[True])
    assert "Income" in str(views[False])
    workspace.type("buy 50 MSFT", "/order")
    assert "Growth" in str(workspace.slack.wait_for("views.open", 3)[2].body["view"])


def test_trading_continues_if_settings_cannot_be_loaded(workspace: Workspace):
    workspace.oms.default_responses[SETTINGS] = build_problem(403, "no", kind="forbidden")
    workspace.bot.services.slack_settings._loaded_at = None
    assert workspace.submit() == {"response_action": "clear"}


def test_members_of_groups_with_a_role_are_reported(workspace: Workspace):
    services = workspace.bot.services
    sync_group_roles(services)
    assert workspace.slack.calls == []
    workspace.oms.group_roles = {"S1": "trader", "S2": "viewer"}
    workspace.bot.services.slack_settings._loaded_at = None
    users = {"S1": ["U1", "U2"], "S2": []}
    for group in ("S1", "S2"):
        workspace.slack.queue_responses(
            "usergroups.users.list", Response(body={"ok": True, "users": users[group]})
        )
    sync_group_roles(services)
    (call,) = workspace.oms.list_requests(GROUPS)
    assert call.method == "PUT"
    assert call.body == {"team_id": "T1", "groups": users}
    workspace.oms.queue_responses(GROUPS, Response(503))
    with pytest.raises(OmsError):
        sync_group_roles(services)


def test_change_of_a_group_is_reported_at_once(workspace: Workspace):
    workspace.oms.group_roles = {"S1": "trader"}
    workspace.bot.services.slack_settings._loaded_at = None
    thread = threading.Thread(target=run_group_sync, args=(workspace.bot.services,))
    thread.start()
    workspace.oms.wait_for(GROUPS)
    event = {"type": "subteam_members_changed", "subteam_id": "S1", "team_id": "T1"}
    body = json.dumps({"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event": event})
    headers = factories.sign_headers(body) | {"Content-Type": "application/json"}
    assert (
        workspace.bot.web.test_client().post("/slack/events", data=body, headers=headers).status_code == 200
    )
    workspace.oms.wait_for(GROUPS, 2)
    workspace.bot.services.stopping.set()
    workspace.bot.services.groups_changed.set()
    thread.join(60)
    assert not thread.is_alive()


def test_roles_that_an_administrator_sets_are_applied_at_once(workspace: Workspace, monkeypatch):
    monkeypatch.setattr("app.services.settings.slack_settings.REFRESH_INTERVAL_SECONDS", 0.02)
    services = workspace.bot.services
    thread = threading.Thread(target=run_group_sync, args=(services,))
    thread.start()
    workspace.oms.group_roles = {"S1": "trader"}
    services.slack_settings._loaded_at = None
    workspace.oms.wait_for(GROUPS)
    services.stopping.set()
    services.groups_changed.set()
    thread.join(60)
    assert not thread.is_alive()
