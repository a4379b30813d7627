"""Portfolios are created before their first trade, and renamed between trades."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from app.verify import verify_database
from tests.identity.administration import (
    assert_error,
    assert_ok,
    build_bearer_header,
    create_key,
    create_user,
    list_audit_entries,
    log_in,
    request_with_session,
)
from tests.support.service import run_service

pytestmark = pytest.mark.any_database

APPROVAL = {"mode": "always", "approvers": ["role:risk"]}


@pytest.fixture(scope="module")
def service(verified_service):
    """Provide a service whose database is verified after the last test."""
    return verified_service


def test_portfolio_is_created_with_its_opening_cash(api):
    created = assert_ok(
        api.post("/portfolios", {"name": " Growth ", "base_currency": "EUR", "opening_cash": "500.50"}), 201
    )
    assert created == {
        "portfolio_name": "Growth",
        "base_currency": "EUR",
        "total_trades": 0,
        "total_buys": 0,
        "total_sells": 0,
        "realized_pnl": "0.00",
        "cash": "500.50",
        "opening_cash": "500.50",
        "cost_schedule": "none",
        "cost_schedules": None,
        "calendar": None,
        "enforce_sessions": False,
        "approval": None,
        "participation": None,
        "slippage": None,
        "carry_rates": None,
        "broker": "paper",
        "connection": None,
        "when_broker_down": "refuse",
        "last_sequence": 0,
    }
    charged = {"charges": "0.00", "net_realized_pnl": "0.00"}
    value = dict.fromkeys(
        ("gross_exposure", "net_exposure", "unrealized_pnl", "day_pnl", "total_pnl"), "0.00"
    )
    value |= dict.fromkeys(("equity", "buying_power", "settled_cash"), "500.50") | {"unsettled_cash": "0.00"}
    assert api.get_portfolio("growth") == created | charged | value | {"positions": {}}
    api.buy("10", "25", portfolio_name="GROWTH")
    assert api.get_portfolio("Growth")["cash"] == "250.50"
    assert api.get_portfolio("Growth", as_of="0")["cash"] == "500.50"


def test_opening_cash_defaults_to_one_million_usd(api):
    body = assert_ok(api.post("/portfolios", {"name": "Growth"}), 201)
    assert (body["base_currency"], body["cash"]) == ("USD", "1000000.00")
    [entry] = list_audit_entries(api)
    assert (entry["action"], entry["target"], entry["before"]) == (
        "portfolio.created",
        "portfolio:Growth",
        None,
    )
    assert entry["after"] == {
        "name": "Growth",
        "base_currency": "USD",
        "opening_cash": "1000000.00",
        "cost_schedule": "none",
    }


@pytest.mark.parametrize("first", ["trade", "post"])
def test_portfolio_name_conflict_is_case_insensitive(api, first):
    if first == "trade":
        api.record_trade(portfolio_name="Straße")
    else:
        assert_ok(api.post("/portfolios", {"name": "Straße"}), 201)
    assert assert_error(api.post("/portfolios", {"name": "STRASSE"}), 409) == "conflict"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": None}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": ".."}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"base_currency": "EURO"}, "base_currency"),
        ({"opening_cash": "-1"}, "opening_cash"),
        ({"opening_cash": "1e6"}, "opening_cash"),
        ({"opening_cash": "1000000000000.01"}, "opening_cash"),
        ({"opening_cash": "0.000000001"}, "opening_cash"),
        ({"opening_cash": True}, "opening_cash"),
        ({"cost_schedule": "free"}, "cost_schedule"),
        ({"cost_schedule": "none", "cost_schedules": {"US": "none"}}, "cost_schedules"),
        ({"cost_schedules": {"IN": "us_equity"}}, "cost_schedules"),
        ({"cost_schedules": {"UK": "none"}}, "cost_schedules.UK.[key]"),
        ({"base_currency": "ZZZ"}, "base_currency"),
        ({"calendar": "XLON"}, "calendar"),
        ({"enforce_sessions": "later"}, "enforce_sessions"),
        ({"participation": "1.01"}, "participation"),
        ({"participation": 0}, "participation"),
        ({"slippage": "10000"}, "slippage"),
        ({"broker": "alpaca"}, "broker"),
        ({"approval": APPROVAL | {"mode": "never"}}, "approval.mode"),
        ({"approval": APPROVAL | {"approvers": []}}, "approval.approvers"),
        ({"approval": APPROVAL | {"approvers": ["role:boss"]}}, "approval.approvers.0"),
        ({"approval": APPROVAL | {"approvers": ["role:risk", "bob@example.com"]}}, "approval.approvers.1"),
        ({"approval": APPROVAL | {"approvers": ["slack:T1:U9"]}}, "approval.approvers.0"),
        ({"approval": APPROVAL | {"mode": "above_value"}}, "approval.value"),
        ({"approval": APPROVAL | {"value": "1"}}, "approval.value"),
        ({"approval": APPROVAL | {"mode": "instruments"}}, "approval.instruments"),
        ({"approval": APPROVAL | {"expires_minutes": 0}}, "approval.expires_minutes"),
        ({"approval": APPROVAL | {"max_move_percent": "101"}}, "approval.max_move_percent"),
        ({"tenant_id": 1}, "tenant_id"),
        ({"kind": "live"}, "kind"),
        ({"cash": "5"}, "cash"),
        ({"name_key": "x"}, "name_key"),
        ({"last_sequence": 5}, "last_sequence"),
    ],
)
def test_invalid_portfolio_is_rejected_by_field(api, changes, field):
    body = {"name": "Growth"} | changes
    assert_error(
        api.post("/portfolios", {name: value for name, value in body.items() if value is not None}),
        422,
        field,
    )
    assert assert_ok(api.get("/portfolios")) == []


def test_portfolio_settings_are_stored_shown_and_audited(api):
    approver = create_user(api, role="risk")
    policy = {"mode": "above_value", "value": "50000", "approvers": ["role:approver", approver["email"]]}
    settings = {
        "cost_schedules": {"in": "ZERODHA", "US": "us_equity"},
        "calendar": "xnys",
        "enforce_sessions": True,
        "approval": policy,
        "participation": "0.1",
        "slippage": "5",
        "broker": "paper",
    }
    body = {
        "cost_schedule": "none",
        "cost_schedules": {"IN": "zerodha", "US": "us_equity"},
        "calendar": "XNYS",
        "enforce_sessions": "hold",
        "approval": policy | {"instruments": [], "expires_minutes": 30, "max_move_percent": "1"},
        "participation": "0.1",
        "slippage": "5",
        "broker": "paper",
        "connection": None,
    }
    assert_ok(api.post("/portfolios", {"name": "Growth"} | settings), 201)
    assert_ok(api.post("/portfolios", {"name": "Income"}), 201)
    assert_ok(api.patch("/portfolios/Income", settings))
    for name in ("Growth", "Income"):
        portfolio = api.get_portfolio(name)
        assert {setting: portfolio[setting] for setting in body} == body
    entry = list_audit_entries(api)[0]
    assert entry["action"] == "portfolio.updated"
    assert entry["after"]["approval"] == body["approval"]
    assert entry["before"]["approval"] is None
    assert entry["after"]["enforce_sessions"] == "hold"


def test_null_removes_a_setting_and_one_schedule_replaces_market_schedules(api):
    settings = {"cost_schedules": {"IN": "zerodha"}, "calendar": "CRYPTO", "participation": "1"}
    assert_ok(api.post("/portfolios", {"name": "Growth", "enforce_sessions": "deny"} | settings), 201)
    nothing = {"calendar": None, "participation": None, "enforce_sessions": False}
    body = assert_ok(api.patch("/portfolios/Growth", nothing | {"cost_schedule": "ibkr_fixed"}))
    assert (body["cost_schedule"], body["cost_schedules"]) == ("ibkr_fixed", None)
    assert (body["calendar"], body["participation"], body["enforce_sessions"]) == (None, None, False)
    assert assert_ok(api.patch("/portfolios/Growth", {"cost_schedules": {}}))["cost_schedules"] is None


def test_currency_and_opening_cash_are_fixed(api):
    assert_ok(api.post("/portfolios", {"name": "Growth", "opening_cash": "500"}), 201)
    same = {"name": "Growth", "base_currency": "USD", "opening_cash": "500.00", "cost_schedule": "zerodha"}
    assert assert_ok(api.patch("/portfolios/Growth", same))["cost_schedule"] == "zerodha"
    for changes in ({"base_currency": "EUR"}, {"opening_cash": "501"}):
        assert assert_error(api.patch("/portfolios/Growth", changes), 409) == "conflict"


def test_opening_cash_may_be_zero(api):
    assert assert_ok(api.post("/portfolios", {"name": "Growth", "opening_cash": 0}), 201)["cash"] == "0.00"


def test_rename_between_trades_keeps_one_ledger(api):
    first = api.record_trade("k1", portfolio_name="Growth")
    assert_ok(api.patch("/portfolios/growth", {"name": "Income"}))
    second = api.record_trade(portfolio_name="income")
    assert (second["sequence"], second["portfolio_name"]) == (2, "Income")
    assert api.get_portfolio("Income")["total_trades"] == 2
    assert api.get("/portfolio/Growth").status_code == 404
    assert [item["trade_id"] for item in api.list_trades(portfolio="Income")] == [
        second["trade_id"],
        first["trade_id"],
    ]
    entry = list_audit_entries(api)[0]
    assert (entry["action"], entry["before"], entry["after"]) == (
        *("portfolio.renamed", {"name": "Growth"}, {"name": "Income"}),
    )


def test_trade_under_the_old_name_creates_a_new_portfolio(api):
    api.record_trade("k1", portfolio_name="Growth")
    assert_ok(api.patch("/portfolios/Growth", {"name": "Income"}))
    fresh = api.record_trade(portfolio_name="Growth")
    assert (fresh["sequence"], fresh["portfolio_name"]) == (1, "Growth")
    assert assert_ok(api.get("/portfolios")) == ["Growth", "Income"]


def test_swapped_portfolio_names_refer_to_the_right_books(api):
    api.buy("1", "10", portfolio_name="A")
    api.buy("2", "10", portfolio_name="B")
    for old, new in (("A", "C"), ("B", "A"), ("C", "B")):
        assert_ok(api.patch(f"/portfolios/{old}", {"name": new}))
    assert api.sell("1", "10", portfolio_name="A")["position"]["quantity"] == "1"
    assert api.sell("1", "10", portfolio_name="B")["position"]["quantity"] == "0"


def test_repeated_trade_is_recognized_under_the_old_name(api):
    first = api.record_trade("k1", portfolio_name="Growth")
    assert_ok(api.patch("/portfolios/Growth", {"name": "Income"}))
    repeated_response = api.post_trade("k1", portfolio_name="Growth")
    assert repeated_response.headers["Idempotent-Replayed"] == "true"
    assert repeated_response.json()["trade"]["trade_id"] == first["trade_id"]
    assert assert_ok(api.get("/portfolios")) == ["Income"]


def test_rename_may_change_only_the_case(api):
    api.record_trade(portfolio_name="growth")
    assert assert_ok(api.patch("/portfolios/GROWTH", {"name": "Growth"}))["portfolio_name"] == "Growth"
    assert assert_ok(api.get("/portfolios")) == ["Growth"]
    assert_ok(api.patch("/portfolios/growth", {"name": "Growth"}))
    assert len(list_audit_entries(api)) == 1


def test_rename_to_an_existing_name_is_rejected(api):
    for name in ("Growth", "Income"):
        api.record_trade(portfolio_name=name)
    assert assert_error(api.patch("/portfolios/Growth", {"name": "INCOME"}), 409) == "conflict"
    assert assert_ok(api.get("/portfolios")) == ["Growth", "Income"]


def test_access_grants_follow_a_renamed_portfolio(api):
    api.record_trade(portfolio_name="Growth")
    body = create_user(api, portfolios=["Growth"])
    restricted_client = api.with_key(create_key(api, "bot", ("trade",), portfolios=["Growth"])["key"])
    assert_ok(api.patch("/portfolios/Growth", {"name": "Income"}))
    assert assert_ok(api.get(f"/users/{body['id']}"))["portfolios"] == ["Income"]
    assert assert_ok(restricted_client.get("/portfolios")) == ["Income"]
    assert restricted_client.post_trade(portfolio_name="Income").status_code == 201


def test_admins_rename_and_traders_create_but_restricted_users_do_neither(api):
    api.record_trade(portfolio_name="Growth")
    create_user(api, role="admin", portfolios=["Growth"])
    session = build_bearer_header(log_in(api))
    assert (
        request_with_session(api, "PATCH", "/portfolios/Growth", session, {"name": "Mine"}).status_code == 403
    )
    assert request_with_session(api, "POST", "/portfolios", session, {"name": "Mine"}).status_code == 403
    for scopes in ("read", "trade", "approve", "risk"):
        other = api.with_key(api.service.create_key(scopes, api.tenant_id))
        status = 201 if scopes == "trade" else 403
        assert other.post("/portfolios", {"name": "Mine"}).status_code == status
        assert other.patch("/portfolios/Growth", {"name": "Mine"}).status_code == 403


def test_portfolio_of_another_tenant_is_not_found(service):
    first, second = service.create_client(), service.create_client()
    second.record_trade(portfolio_name="Theirs")
    foreign, absent = (
        first.patch("/portfolios/Theirs", {"name": "X"}),
        first.patch("/portfolios/Absent", {"name": "X"}),
    )
    assert (foreign.status_code, absent.status_code) == (404, 404)
    assert foreign.json()["detail"].replace("Theirs", "Absent") == absent.json()["detail"]
    assert_ok(first.post("/portfolios", {"name": "Theirs"}), 201)
    assert assert_ok(second.get("/portfolios")) == ["Theirs"]


@pytest.mark.parametrize("body", [{}, {"name": None}, {"name": "a/b"}, {"name": "X", "cash": "1"}])
def test_invalid_portfolio_change_is_rejected(api, body):
    api.record_trade(portfolio_name="Growth")
    assert api.patch("/portfolios/Growth", body).status_code == 422


def test_concurrent_renames_and_trades_lose_nothing_and_pass_verification(database_url):
    with run_service(database_url) as service:
        api = service.create_client()
        assert_ok(api.post("/portfolios", {"name": "Even"}), 201)

        def trade(number):
            return api.post_trade(f"k{number}", portfolio_name="Even").status_code

        def rename(number):
            names = ("Even", "Odd") if number % 2 == 0 else ("Odd", "Even")
            return api.patch(f"/portfolios/{names[0]}", {"name": names[1]}).status_code

        with ThreadPoolExecutor(4) as pool:
            traded = list(pool.map(trade, range(40)))
            renamed = [rename(number) for number in range(2)]
            traded += list(pool.map(trade, range(40, 60)))
        assert set(traded) == {201}
        assert set(renamed) <= {200, 409}
        total = sum(item["total_trades"] for item in assert_ok(api.get("/portfolios", detail="true")))
        assert total == 60
        assert verify_database(service.engine).is_clean


def test_new_portfolio_gets_the_opening_cash_of_the_tenant(api):
    slug = f"desk-{api.tenant_id}"
    assert assert_ok(api.get(f"/tenants/{slug}"))["default_opening_cash"] == "1000000.00"
    assert_ok(api.post("/portfolios", {"name": "Before"}), 201)
    changed = assert_ok(api.patch(f"/tenants/{slug}", {"default_opening_cash": "2500.50"}))
    assert changed["default_opening_cash"] == "2500.50"
    assert_ok(api.post("/portfolios", {"name": "Made"}), 201)
    assert_ok(api.post("/portfolios", {"name": "Named", "opening_cash": "7"}), 201)
    api.record_trade(portfolio_name="Traded", quantity="10", gmv="100")
    cash = {
        name: assert_ok(api.get(f"/portfolio/{name}"))["cash"]
        for name in ("Before", "Made", "Named", "Traded")
    }
    assert cash == {"Before": "1000000.00", "Made": "2500.50", "Named": "7.00", "Traded": "2400.50"}


@pytest.mark.parametrize("cash", ["-1", "1000000000001", "many", None])
def test_invalid_opening_cash_of_a_tenant_is_rejected(api, cash):
    response = api.patch(f"/tenants/desk-{api.tenant_id}", {"default_opening_cash": cash})
    assert assert_error(response, 422, "default_opening_cash") == "invalid"


def test_orders_may_wait_for_a_broker_that_is_down(api):
    assert_ok(api.post("/portfolios", {"name": "Growth", "when_broker_down": "hold"}), 201)
    assert (
        assert_ok(api.patch("/portfolios/Growth", {"when_broker_down": None}))["when_broker_down"] == "hold"
    )
    assert (
        assert_ok(api.patch("/portfolios/Growth", {"when_broker_down": "refuse"}))["when_broker_down"]
        == "refuse"
    )
    assert api.patch("/portfolios/Growth", {"when_broker_down": "later"}).status_code == 422
