"""A service with rows in every table, for tests of verification."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import insert, text

from app.audit.service import record_entries
from app.backtests.models import BacktestFileRow, BacktestRow
from app.brokers.models import BrokerRateLimitRow
from app.database import execute_writes, set_tenant_scope, unit_of_work
from app.identity.rules.access import Caller, Scope
from app.identity.service.change_executor import ChangeRequest
from app.orders.queries.broker_requests import build_request_insert
from app.reconciliation.queries import Issue, insert_issue
from app.strategies.models import StrategyInputRow, StrategyStateRow
from app.strategies.rules.journal import NO_HEAD, InputKind, NewInput, link_inputs
from app.timestamps import format_timestamp
from tests.factories import BOOTSTRAP_KEY
from tests.support.jobs import roll_up_bars, store_daily_stats, take_snapshots
from tests.support.service import ApiClient, Service

PASSWORD = "violet kettle marches north"
_TOMORROW = datetime(2036, 1, 1, tzinfo=UTC)
_LATER = "2036-01-01T00:00:00Z"
_GTC = {"type": "LIMIT", "time_in_force": "GTC"}
_SHARE = {"tick_size": "0.01", "lot_size": "1", "currency": "USD"}


def fill_tables(service: Service) -> None:
    """Let a tenant do a bit of everything."""
    api = _create_tenant(service)
    _create_portfolios(api)
    _create_users(api)
    _create_keys(api)
    _record_trades(api)
    _place_orders(api)
    _set_limits(api)
    _request_overrides(api)
    _set_kill_switches(api)
    _book_corporate_actions(api)
    webhook = _assert_ok(
        api.post("/webhooks", {"url": "https://hooks.example.com/oms", "event_types": ["*"]})
    )
    _assert_ok(api.post(f"/webhooks/{webhook['id']}:test"))
    _connect_broker(api)
    _assert_ok(api.post("/alerts", {"kind": "drawdown", "portfolio_name": "Income", "above": "50"}))
    _assert_ok(api.post("/market-data/subscriptions", {"symbols": ["AAPL"]}))
    _assert_ok(api.put("/preferences", {"time_zone": "Asia/Kolkata"}))
    _assert_ok(
        api.put("/signals/strategies/momentum", {"portfolio": "Income", "qty": "1", "symbols": ["AAPL"]})
    )
    _assert_ok(api.post("/signals/hooks", {"name": "charts", "strategy": "momentum"}))
    signal = {"symbol": "AAPL", "side": "buy", "strategy": "momentum", "price": "1", "id": "s-1"}
    _assert_ok(api.post("/signals", signal))
    _run_strategy(api)
    jobs = ["order and approval expiry", "intraday square-off"]
    jobs += ["equity snapshots", "flow snapshots", "day closes", "prune equity snapshots"]
    jobs += ["position records", "roll up bars", "prune ticks"]
    jobs += ["prune webhook deliveries", "encrypt webhook secrets again", "portfolio alerts"]
    jobs += ["stale price feed", "interest and borrow fees", "daily statistics", "broker logins"]
    jobs += ["broker instruments", "strategy parity", "prune strategy journals", "prune job history"]
    jobs += ["verify chains"]
    assert service.app.state.job_runner.run_due() == jobs
    take_snapshots(service, _TOMORROW)
    roll_up_bars(service, _TOMORROW)
    store_daily_stats(service, _TOMORROW)
    _close_day(service, api)


def _run_strategy(api: ApiClient) -> None:
    """Let a strategy run, and a backtest of it be done."""
    code = {
        "name": "trend",
        "entry_point": "moving_average_cross",
        "portfolio": "Income",
        "symbols": ["AAPL"],
    }
    _assert_ok(api.post("/strategies", code))
    _assert_ok(api.post("/strategies/trend:start", {"reason": "Checked"}))
    _assert_ok(api.post("/strategies/trend:stop", {}))
    with unit_of_work(api.service.engine) as connection:
        set_tenant_scope(connection, [api.tenant_id])
        of_it: dict[str, Any] = {"tenant_id": api.tenant_id, "strategy": "trend"}
        inputs = [NewInput(InputKind.START, _TOMORROW, "{}"), NewInput(InputKind.STOP, _TOMORROW, "{}")]
        linked = link_inputs(api.tenant_id, "trend", 1, NO_HEAD, inputs)
        connection.execute(insert(StrategyInputRow), [row._asdict() for row in linked])
        state = {"state": "{}", "processed": 2, "sequence": 2, "hash": linked[-1].hash}
        connection.execute(insert(StrategyStateRow).values(**of_it, **state, updated_at=_TOMORROW))
        backtest: dict[str, Any] = dict.fromkeys(BacktestRow.__table__.columns.keys())
        backtest |= {"tenant_id": api.tenant_id, "id": "B1", "strategy": "trend", "entry_point": "a:B"}
        backtest |= {"parameters": "{}", "symbols": "AAPL", "interval": "1m", "since": _TOMORROW}
        backtest |= {"until": _TOMORROW, "cash": Decimal(1), "costs": "none", "settings": "{}", "seed": 0}
        backtest |= {"status": "queued", "progress": 0, "code_hash": "0" * 64, "created_by": "key:a"}
        connection.execute(insert(BacktestRow).values(backtest | {"created_at": _TOMORROW}))
        file = {"tenant_id": api.tenant_id, "backtest_id": "B1", "name": "fills.csv", "content": b""}
        connection.execute(insert(BacktestFileRow).values(file))


def _connect_broker(api: ApiClient) -> None:
    """Let a portfolio trade at a broker, to which a request is under way, and whose account differs."""
    account = {"key_id": "PK0123456789", "secret_key": "secret"}
    _assert_ok(api.post("/broker-connections", {"name": "paper", "broker": "alpaca", "credentials": account}))
    _assert_ok(api.post("/portfolios", {"name": "At a broker"}))
    _assert_ok(api.patch("/portfolios/At a broker", {"broker": "alpaca", "connection": "paper"}))
    with unit_of_work(api.service.engine) as connection:
        set_tenant_scope(connection, [api.tenant_id])
        tenant_parameter = {"tenant": api.tenant_id}
        order = "SELECT id, portfolio_id FROM orders WHERE tenant_id = :tenant ORDER BY id"
        order_id, portfolio_id = connection.execute(text(order), tenant_parameter).first() or ("", 0)
        request = (api.tenant_id, "paper", order_id, "submit", None, None, format_timestamp(_TOMORROW))
        execute_writes(connection, build_request_insert([request]))
        limit = {"name": "alpaca-requests:1", "millitokens": 200_000, "updated_at": _TOMORROW}
        connection.execute(insert(BrokerRateLimitRow).values(limit))
        values: list[Any] = [api.tenant_id, "ri_1", "paper", portfolio_id, "quantity_mismatch", "critical"]
        values += ["AAPL", None, "10", "9", "open", None, None, None, _TOMORROW, _TOMORROW, None, None]
        insert_issue(connection, Issue(*values))


def _create_tenant(service: Service) -> ApiClient:
    operator = ApiClient(service, 1, BOOTSTRAP_KEY)
    body = _assert_ok(operator.post("/tenants", {"slug": "acme", "name": "Acme"}))
    api = ApiClient(service, body["id"], body["api_key"])
    api.claim_workspace("T1")
    api.claim_workspace("T2")
    _assert_ok(api.post("/tenants/acme/workspaces:release", {"team_id": "T2"}))
    _assert_ok(api.patch("/tenants/acme", {"name": "Acme Capital", "slack_default_role": "viewer"}))
    for name in ("Founders' day", "Jubilee"):
        day = {"kind": "special", "sessions": [{"open": "10:00", "close": "11:00"}], "source": "a circular"}
        _assert_ok(operator.put("/calendar/XNSE/2026-12-05", day | {"name": name}))
    for currency in ("EUR", "USD"):
        _assert_ok(api.patch("/tenants/acme", {"base_currency": currency}))
    for cash in ("250000", "1000000"):
        _assert_ok(api.patch("/tenants/acme", {"default_opening_cash": cash}))
    settings = {"slack_channels": {"C1": {"portfolio": "Growth"}}, "slack_group_roles": {"S1": "viewer"}}
    _assert_ok(api.patch("/tenants/acme", settings))
    return api


def _create_portfolios(api: ApiClient) -> None:
    for name, currency in (("Growth", "USD"), ("Income", "USD"), ("Rupees", "INR")):
        _assert_ok(
            api.post("/portfolios", {"name": name, "base_currency": currency, "opening_cash": "1000000"})
        )
    _assert_ok(api.put("/instruments/AAPL", _SHARE | {"exchange": "XNAS"}))
    _assert_ok(api.put("/instruments/MSFT", _SHARE))
    _assert_ok(api.put("/instruments/BRK.B", _SHARE))
    _assert_ok(api.put("/instruments/MSFT", _SHARE | {"restricted": True}))
    api.set_quote("USD/INR", "83.50", "83.50", "83.50")
    mark = {"price": "95", "reason": "Halted", "expires_at": _LATER}
    for symbol in ("HALTED", "OPEN"):
        _assert_ok(api.put(f"/marks/{symbol}", mark))
    _assert_ok(api.delete("/marks/OPEN"))


def _create_users(api: ApiClient) -> None:
    alice = {"email": "alice@example.com", "name": "Alice", "password": PASSWORD, "role": "trader"}
    user = _assert_ok(api.post("/users", alice | {"portfolios": ["Growth"]}, {"Idempotency-Key": "user-1"}))
    _assert_ok(api.patch(f"/users/{user['id']}", {"name": "Alice B", "portfolios": ["Growth", "Income"]}))
    _assert_ok(api.get("/portfolios", {"X-On-Behalf-Of": "slack:T1:U1"}))
    credentials = {"tenant": "acme", "email": "alice@example.com", "password": PASSWORD}
    login = _assert_ok(api.service.client.post("/api/v1/auth/login", json=credentials))
    refresh = {"refresh_token": login["refresh_token"]}
    tokens = _assert_ok(api.service.client.post("/api/v1/auth/refresh", json=refresh))
    headers = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert api.service.client.post("/api/v1/auth/logout", headers=headers).status_code < 300
    _assert_ok(api.service.client.post("/api/v1/auth/login", json=credentials))


def _create_keys(api: ApiClient) -> None:
    ending = {"name": "bot", "scopes": ["trade"], "expires_at": _LATER, "portfolios": ["Growth"]}
    _assert_ok(api.post("/api-keys", ending))
    first = _assert_ok(api.post("/api-keys", {"name": "old", "scopes": ["read"]}))
    _assert_ok(api.patch(f"/api-keys/{first['key_id']}", {"name": "older", "revoked": True}))
    second = _assert_ok(api.post("/api-keys", {"name": "feed", "scopes": ["read"]}))
    _assert_ok(api.post(f"/api-keys/{second['key_id']}:rotate", {"overlap_seconds": 60}))


def _record_trades(api: ApiClient) -> None:
    first = api.record_trade("trade-1", portfolio_name="Income", user_id="U1", note="First")
    api.record_trade(portfolio_name="Income", symbol="TSLA", side="SELL")
    assert api.post_reversal(first["trade_id"], key="reversal-1").status_code == 201
    api.record_trade(portfolio_name="Rupees", quantity="10", gmv="2000")
    late: Any = {"executed_at": "2026-01-02T15:00:00Z", "backdated": True, "backdated_reason": "Found late"}
    api.record_trade(portfolio_name="Rupees", quantity="10", gmv="2000", **late)
    flow = {"amount": "500", "currency": "USD", "reason": "New capital"}
    key = {"Idempotency-Key": "cash-1"}
    _assert_ok(api.post("/portfolios/Growth/cash", flow | {"kind": "deposit"}, key))
    _assert_ok(api.post("/portfolios/Growth/cash", flow | {"kind": "withdrawal"}))
    _assert_ok(api.post("/portfolios/Growth/cash", flow | {"kind": "transfer", "to_portfolio": "Income"}))
    api.record_trade("trade-2", portfolio_name="Growth", symbol="TSLA", quantity="10", gmv="2000")


def _place_orders(api: ApiClient) -> None:
    api.set_quote("AAPL", "99", "101", "100")
    api.place_order("order-1", reason="Start", strategy="momentum")
    api.place_order(user_id="U2", **_GTC, limit_price="90", client_order_id="working")
    cancelled = api.place_order(**_GTC, limit_price="91")
    path = f"/orders/{cancelled['id']}/cancel"
    _assert_ok(api.post(path, {"reason": "Changed my mind"}, {"Idempotency-Key": "cancel-1"}))
    replaced = api.place_order(**_GTC, limit_price="92")
    _assert_ok(api.patch(f"/orders/{replaced['id']}", {"limit_price": "93"}))
    exits: Any = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "80"}}
    api.place_order(quantity="4", **_GTC, limit_price="94", **exits)
    api.place_order(quantity="4", **exits)
    assert api.post_order(quantity="2000000").status_code == 422  # denied, and kept
    api.place_order(side="SELL", type="TRAILING_STOP", trail_amount="5", quantity="2")
    api.place_order(type="LIMIT", limit_price="95", time_in_force="GTD", expires_at=_LATER, quantity="3")
    api.place_order(notional="500", quantity=None)
    api.set_quote("AAPL", "97", "98", "98", ask_size="5", bid_size="5")
    api.place_order(**_GTC, limit_price="98", quantity="8")
    api.place_order(**_GTC, limit_price="90", strategy="sweep")
    _assert_ok(api.post("/orders:cancel-all", {"strategy": "sweep"}, {"Idempotency-Key": "cancel-all"}))


def _set_limits(api: ApiClient) -> None:
    whole = {"scope": "tenant", "name": None, "code": "MAX_ORDER_VALUE"}
    _assert_ok(api.put("/limits", whole | {"value": "50000"}))
    _assert_ok(api.put("/limits", whole | {"value": "60000"}))
    _assert_ok(api.put("/limits", whole | {"value": "70000", "until": _LATER}))
    growth = {"scope": "portfolio", "name": "growth"}
    _assert_ok(api.put("/limits", growth | {"code": "ALLOWED_SYMBOLS", "value": "AAPL,TSLA"}))
    _assert_ok(api.put("/limits", growth | {"code": "MAX_OPEN_ORDERS", "value": "50"}))
    _assert_ok(api.put("/limits", growth | {"code": "MAX_OPEN_ORDERS", "value": None}))
    _assert_ok(api.put("/limits", whole | {"code": "REPEATED_EXECUTIONS", "value": "1"}))
    api.set_quote("TSLA", "99", "101", "100")
    for strategy in ("one", "two"):
        api.place_order(symbol="TSLA", quantity="1", strategy=strategy)
    latch = _assert_ok(api.get("/latches"))[0]
    api.claim_workspace("T3")
    person = {"X-On-Behalf-Of": "slack:T3:U3"}
    _assert_ok(api.post("/users", {"person": "slack:T3:U3", "name": "Risk", "role": "admin"}))
    _assert_ok(api.post(f"/latches/{latch['id']}/release", {"reason": "Looked into"}, person))


def _request_overrides(api: ApiClient) -> None:
    """Request an override that a kill switch cancels, one that is approved and one that is rejected."""
    _assert_ok(api.post("/users", {"person": "slack:T3:U4", "name": "Trader", "role": "trader"}))
    for quantity, decision in (("901", None), ("902", "approve"), ("903", "reject")):
        order_id = _request_override(api, "Growth", quantity)
        if decision is not None:
            admin = {"X-On-Behalf-Of": "slack:T3:U3"}
            _assert_ok(api.post(f"/orders/{order_id}/{decision}", {"reason": "Looked into"}, admin))


def _request_override(api: ApiClient, portfolio: str, quantity: str) -> str:
    """Return the id of an order that waits for the approval of an override."""
    trader = {"X-On-Behalf-Of": "slack:T3:U4"}
    body = {"portfolio_name": portfolio, "symbol": "TSLA", "side": "BUY", "type": "MARKET"}
    denied = api.post("/orders", body | {"quantity": quantity}, trader).json()["order_id"]
    waiting = _assert_ok(api.post(f"/orders/{denied}/override", {"reason": "Client block"}, trader))
    return str(waiting["id"])


def _set_kill_switches(api: ApiClient) -> None:
    growth = {"scope": "portfolio", "name": "Growth"}
    _assert_ok(
        api.post("/kill-switch", growth | {"state": "REDUCING", "reason": "Odd"}, {"Idempotency-Key": "k"})
    )
    _assert_ok(
        api.post("/kill-switch", {"scope": "strategy", "name": "two", "state": "HALTED", "reason": "Loop"})
    )
    _assert_ok(api.post("/kill-switch", {"scope": "tenant", "state": "HALTED", "reason": "Stop"}))
    _assert_ok(api.post("/kill-switch", {"scope": "tenant", "state": "ACTIVE", "reason": "Go"}))
    _assert_ok(api.patch("/portfolios/Growth", {"name": "Growth Fund"}))
    api.record_trade(portfolio_name="Growth Fund", symbol="TSLA", side="SELL", quantity="1", gmv="100")
    exits: Any = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "80"}}
    _request_override(api, "Income", "904")
    income: Any = {"portfolio_name": "Income", **_GTC}  # HALTED canceled the working entries before
    api.place_order(**income, quantity="4", limit_price="90", **exits)
    filled = api.get_order(api.place_order(**income, quantity="8", limit_price="98")["id"])  # five fill
    bust = {"execution_id": filled["fills"][0]["execution_id"], "reason": "Clearly erroneous"}
    _assert_ok(api.post(f"/orders/{filled['id']}/bust", bust))
    api.set_quote("IBM", "97", "98", "98")
    corrected = api.get_order(api.place_order(portfolio_name="Income", symbol="IBM", quantity="2")["id"])
    correction = {"execution_id": corrected["fills"][0]["execution_id"], "reason": "Corrected by the venue"}
    _assert_ok(api.post(f"/orders/{corrected['id']}/correct", correction | {"price": "97"}))


def _book_corporate_actions(api: ApiClient) -> None:
    """Let a split pay a fraction, a dividend be paid, and a symbol change be reversed."""
    earlier_trade: Any = {"portfolio_name": "Splits", "side": "BUY", "executed_at": "2026-01-02T15:00:00Z"}
    for symbol in ("NVDA", "FB"):
        api.record_trade(symbol=symbol, quantity="10", gmv="1000", **earlier_trade)
    dated = {"ex_date": "2026-02-02", "reason": "Announced"}
    split = {
        "kind": "split",
        "symbol": "NVDA",
        "new_units": "1",
        "old_units": "3",
        "cash_in_lieu_price": "310",
    }
    _assert_ok(api.post("/corporate-actions", dated | split))
    dividend = {"kind": "dividend", "symbol": "NVDA", "amount": "1", "currency": "USD"}
    _assert_ok(
        api.post(
            "/corporate-actions", dated | dividend | {"withholding_percent": "15", "pay_date": "2026-02-09"}
        )
    )
    change = {"kind": "symbol_change", "symbol": "FB", "new_symbol": "META"}
    body = _assert_ok(api.post("/corporate-actions", dated | change))
    _assert_ok(api.post(f"/corporate-actions/{body['id']}:reverse", {"reason": "Wrong date"}))


def _close_day(service: Service, api: ApiClient) -> None:
    """Sign off the last day, as it is done after its end."""
    context = ChangeRequest(Caller(api.tenant_id, "1", "risk", frozenset(Scope)), "POST /day-close/{date}")
    with unit_of_work(service.engine) as connection:
        set_tenant_scope(connection, [api.tenant_id])
        arguments = (_TOMORROW.date() - timedelta(days=1), "Looked into", _TOMORROW + timedelta(hours=1))
        result = service.app.state.day_closer.close_day(connection, context, *arguments)
        record_entries(connection, result.audit_entries)


def _assert_ok(response: Any) -> Any:
    assert response.status_code < 300, response.text
    return response.json() if response.content else None
