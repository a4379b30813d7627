"""Signals over REST: stored once, ordered once, and shown with their outcome."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from app.clock import utc_now
from app.errors import NotPlaced, WriteRefused
from app.signals.service.resumption import SignalResumption
from app.timestamps import format_timestamp
from tests.factories import BOOTSTRAP_KEY
from tests.support.event_schemas import VALIDATORS
from tests.support.service import ApiClient

SIGNAL = {"symbol": "AAPL", "side": "buy", "qty": 10, "reason": "Technical breakout", "portfolio": "Growth"}
STRATEGY = {"portfolio": "Growth", "mode": "trade", "qty": "5", "symbols": ["AAPL"]}


@pytest.fixture
def trader(api):
    """Provide a tenant with a portfolio and a price."""
    api.open_portfolio("Growth")
    api.set_quote("AAPL", "99", "101", "100")
    return api


def post_signal(api, path="/signals", **changes):
    body = {name: value for name, value in {**SIGNAL, **changes}.items() if value is not None}
    return api.post(path, body)


def post_accepted_signal(api, **changes):
    response = post_signal(api, **changes)
    assert response.status_code == 201, response.text
    return response.json()


def get_position(api):
    return sum(float(item["quantity"]) for item in api.get("/positions", symbol="AAPL").json())


def test_signal_is_filled_and_listed_with_its_latency(trader):
    sent = post_accepted_signal(trader, id="breakout-1")
    assert (sent["id"], sent["status"], sent["reason"]) == ("breakout-1", "filled", None)
    assert sent["latency_ms"] >= 0
    (order_id,) = sent["order_ids"]
    assert trader.get_order(order_id)["reason"] == "Technical breakout"
    (body,) = trader.get("/signals").json()
    assert {name: body[name] for name in sent} == sent
    assert (body["channel"], body["size"], body["portfolio_name"]) == ("rest", {"qty": "10"}, "Growth")
    assert body["order_statuses"] == {order_id: "FILLED"}
    assert trader.get("/signals/breakout-1").json() == body
    (event,) = trader.get("/events", type="signal.*").json()
    VALIDATORS["signal.filled"].validate(event["data"])
    assert (event["type"], event["data"]["order_ids"]) == ("signal.filled", [order_id])


@pytest.mark.any_database
def test_alias_accepts_the_signals_of_other_systems(trader):
    response = post_signal(trader, "/trading/signal")
    assert (response.status_code, response.json()["status"]) == (201, "filled")
    assert get_position(trader) == 10


def test_same_id_gives_the_same_answer_and_another_body_conflicts(trader):
    first = post_accepted_signal(trader, id="one")
    assert post_accepted_signal(trader, id="one") == first
    assert post_signal(trader, id="one", qty=11).status_code == 409
    assert get_position(trader) == 10
    keyed = [
        trader.post("/signals", SIGNAL, {"Idempotency-Key": "two"}).json()["order_ids"] for _ in range(2)
    ]
    assert keyed[0] == keyed[1]
    assert get_position(trader) == 20


@pytest.mark.any_database
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"qty": None}, "qty"),
        ({"side": None}, "side"),
        ({"strategy": "unknown"}, "strategy"),
        ({"portfolio": None}, "portfolio"),
        ({"portfolio": "Nowhere"}, "portfolio"),
        ({"qty": 1, "notional": 5}, "notional"),
        ({"qty": None, "close": False}, "close"),
        ({"qty": 0}, "qty"),
        ({"id": "with space"}, "id"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"quantity": 5}, "quantity"),
    ],
)
def test_signal_that_cannot_become_an_order_is_refused_and_not_stored(trader, changes, field):
    response = post_signal(trader, **changes)
    assert response.status_code == 422, response.text
    assert response.json()["errors"][0]["field"] == field
    assert trader.get("/signals").json() == []


@pytest.mark.any_database
def test_late_signal_is_recorded_as_expired(trader):
    late = post_accepted_signal(trader, expires_at=format_timestamp(utc_now() - timedelta(seconds=1)))
    assert (late["status"], late["order_ids"]) == ("expired", [])
    assert "expiry" in late["reason"]
    assert (
        post_accepted_signal(trader, expires_at=format_timestamp(utc_now() + timedelta(minutes=5)))["status"]
        == "filled"
    )
    assert get_position(trader) == 10


@pytest.mark.any_database
def test_denied_order_is_a_rejected_signal_with_the_reason(trader):
    limit = {"scope": "portfolio", "name": "Growth", "code": "MAX_ORDER_QUANTITY", "value": "5"}
    assert trader.put("/limits", limit).status_code == 200
    denied = post_accepted_signal(trader)
    assert denied["status"] == "rejected"
    assert len(denied["order_ids"]) == 1
    assert trader.get_order(denied["order_ids"][0])["status"] == "DENIED"


def test_target_position_trades_the_difference_and_close_the_rest(trader):
    for target, side in (("30", "BUY"), ("-20", "SELL")):
        sent = post_accepted_signal(trader, qty=None, side=None, target_position=target)
        assert trader.get_order(sent["order_ids"][0])["side"] == side
        assert get_position(trader) == float(target)
    same = post_accepted_signal(trader, qty=None, side=None, target_position=-20)
    assert (same["status"], same["order_ids"]) == ("recorded", [])
    assert post_accepted_signal(trader, qty=None, side=None, close=True, id="flat")["status"] == "filled"
    assert get_position(trader) == 0
    nothing = post_accepted_signal(trader, qty=None, side=None, close=True)
    assert nothing["status"] == "rejected"
    assert post_accepted_signal(trader, qty=None, side=None, close=True, id="flat")["status"] == "filled"


@pytest.mark.any_database
def test_target_counts_the_working_orders_of_the_strategy(trader):
    first = post_accepted_signal(trader, qty=None, target_position=10, price="90")
    assert first["status"] == "ordered"
    assert post_accepted_signal(trader, qty=None, target_position=10)["status"] == "recorded"


@pytest.mark.any_database
def test_size_by_value_and_by_equity(trader):
    by_value = post_accepted_signal(trader, qty=None, notional="1000")
    assert trader.get_order(by_value["order_ids"][0])["quantity"] == "9.90099009"
    equity = float(trader.get_portfolio()["equity"])
    by_equity = post_accepted_signal(trader, qty=None, percent_of_equity="2")
    filled = float(trader.get_order(by_equity["order_ids"][0])["quantity"])
    assert filled * 101 == pytest.approx(equity * 0.02, rel=1e-6)


@pytest.mark.any_database
def test_strategy_gives_portfolio_size_and_allowed_symbols(trader):
    put = trader.put("/signals/strategies/momentum", STRATEGY)
    assert (put.status_code, put.json()["size"]) == (200, {"qty": "5"})
    sent = post_accepted_signal(trader, strategy="momentum", qty=None, portfolio=None)
    assert sent["status"] == "filled"
    assert trader.get_order(sent["order_ids"][0])["strategy"] == "momentum"
    assert get_position(trader) == 5
    assert post_signal(trader, strategy="momentum", symbol="MSFT").status_code == 422
    assert [item["name"] for item in trader.get("/signals/strategies").json()] == ["momentum"]
    assert trader.delete("/signals/strategies/momentum").status_code == 204
    assert trader.delete("/signals/strategies/momentum").status_code == 404
    assert post_signal(trader, strategy="momentum").status_code == 422
    actions = [entry["action"] for entry in trader.get("/audit").json()]
    assert {"signal_strategy.set", "signal_strategy.deleted"} <= set(actions)


def test_modes_record_and_approve(trader):
    trader.put("/signals/strategies/watch", STRATEGY | {"mode": "record"})
    recorded = post_accepted_signal(trader, strategy="watch")
    assert (recorded["status"], recorded["order_ids"]) == ("recorded", [])
    trader.put("/signals/strategies/careful", STRATEGY | {"mode": "approve"})
    waiting = post_accepted_signal(trader, strategy="careful")
    assert waiting["status"] == "awaiting_approval"
    order = trader.get_order(waiting["order_ids"][0])
    assert order["status"] == "AWAITING_APPROVAL"
    assert get_position(trader) == 0


@pytest.fixture
def fail_next_signal(trader, monkeypatch):
    """Provide a function that sends a signal by a hook while the writer takes none. It is only stored."""
    service = trader.service.app.state.signals
    hook = trader.post("/signals/hooks", {"name": "charts"}).json()

    def send_to_hook(**changes):
        def refuse(_):
            raise NotPlaced("Another session holds a lock.")

        with monkeypatch.context() as patched:
            patched.setattr(service, "submit", refuse)
            assert post_signal(trader, "/signals").status_code == 503
            sent = trader.service.client.post(hook["path"], json={**SIGNAL, **changes})
        assert (sent.status_code, sent.json()["status"]) == (202, "received"), sent.text
        return sent.json()["id"]

    return send_to_hook


def resume_signals(trader, later):
    service, readers = trader.service.app.state.signals, trader.service.app.state.readers
    resumption = SignalResumption(service, readers, lambda: later)
    return trader.service.client.portal.call(resumption.resume_pending)


@pytest.mark.any_database
def test_signal_of_a_hook_that_the_writer_could_not_take_acts_once(trader, fail_next_signal):
    ids = [
        fail_next_signal(id="one", qty=10),
        fail_next_signal(id="two", qty=None, side=None, target_position="4"),
    ]
    assert [item["status"] for item in trader.get("/signals").json()] == ["received", "received"]
    later = utc_now() + timedelta(minutes=1)
    assert resume_signals(trader, later) == 2
    assert resume_signals(trader, later) == 0
    assert {trader.get(f"/signals/{signal_id}").json()["status"] for signal_id in ids} == {"filled"}
    assert len(trader.get("/orders").json()) == 2
    assert get_position(trader) == 4
    assert len(trader.get("/events", type="signal.filled").json()) == 2


def test_signal_that_the_database_refuses_does_not_stop_the_others(trader, fail_next_signal, monkeypatch):
    refused, other = fail_next_signal(id="refused", qty=10), fail_next_signal(id="other", qty=4)
    service = trader.service.app.state.signals
    resume = service.resume

    async def refuse_one(listed_signal):
        if listed_signal.signal.id == refused:
            raise WriteRefused("The database refused the write.")
        return await resume(listed_signal)

    later = utc_now() + timedelta(minutes=1)
    with monkeypatch.context() as patched:
        patched.setattr(service, "resume", refuse_one)
        assert resume_signals(trader, later) == 2
    assert trader.get(f"/signals/{other}").json()["status"] == "filled"
    assert resume_signals(trader, later) == 1
    assert trader.get(f"/signals/{refused}").json()["status"] == "filled"


@pytest.mark.any_database
def test_resumed_signal_that_cannot_be_ordered_any_more_is_complete(trader, fail_next_signal, monkeypatch):
    late = fail_next_signal(id="late", expires_at=format_timestamp(utc_now() + timedelta(minutes=1)))
    poor = fail_next_signal(id="poor", qty=None, percent_of_equity="5")
    withdrawal = {"kind": "withdrawal", "amount": "1000000", "currency": "USD", "reason": "Out"}
    cash = trader.post("/portfolios/Growth/cash", withdrawal)
    assert cash.status_code == 201, cash.text
    later = utc_now() + timedelta(minutes=2)
    monkeypatch.setattr(trader.service.app.state.signals, "_now", lambda: later)
    assert resume_signals(trader, later) == 2
    assert trader.get(f"/signals/{late}").json()["status"] == "expired"
    signal = trader.get(f"/signals/{poor}").json()
    assert (signal["status"], "no equity" in signal["reason"]) == ("rejected", True)
    assert trader.get("/orders").json() == []


@pytest.mark.any_database
def test_resumed_signal_of_the_previous_release_finds_its_order(trader, fail_next_signal):
    """That release placed the order first, and stored the outcome in a separate transaction."""
    signal_id = fail_next_signal(id="crash")
    order = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "10", "type": "MARKET"}
    placed = trader.post("/orders", order, {"Idempotency-Key": f"signal:{signal_id}"}).json()
    assert resume_signals(trader, utc_now() + timedelta(minutes=1)) == 1
    body = trader.get(f"/signals/{signal_id}").json()
    assert (body["status"], body["order_ids"]) == ("filled", [placed["id"]])
    assert get_position(trader) == 10


@pytest.mark.any_database
def test_signal_does_not_take_the_key_of_another_order(trader):
    order = {"portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "1", "type": "MARKET"}
    trader.post("/orders", order, {"Idempotency-Key": "signal:taken"})
    response = post_accepted_signal(trader, id="taken")
    assert (response["status"], response["order_ids"]) == ("rejected", [])
    assert get_position(trader) == 1


@pytest.mark.any_database
def test_signals_of_a_batch_see_the_orders_before_them(trader):
    """Sixteen at once with the same target: the first one reaches it."""

    def aim(_):
        return post_accepted_signal(trader, qty=None, side=None, target_position=10)["status"]

    with ThreadPoolExecutor(8) as threads:
        statuses = list(threads.map(aim, range(16)))
    assert sorted(statuses) == ["filled"] + ["recorded"] * 15
    assert get_position(trader) == 10


@pytest.mark.any_database
def test_racing_repeats_are_one_order(trader):
    with ThreadPoolExecutor(8) as threads:
        responses = list(threads.map(lambda _: post_accepted_signal(trader, id="race"), range(16)))
    assert len({tuple(item["order_ids"]) for item in responses}) == 1
    assert get_position(trader) == 10


@pytest.mark.any_database
def test_narrow_key_sees_and_sends_signals_of_its_portfolios_only(trader):
    trader.open_portfolio("Income")
    post_accepted_signal(trader, id="growth")
    body = trader.post("/api-keys", {"name": "income", "scopes": ["trade"], "portfolios": ["Income"]}).json()
    restricted_client = trader.with_key(body["key"])
    assert restricted_client.get("/signals").json() == []
    assert restricted_client.get("/signals/growth").status_code == 404
    assert post_signal(restricted_client).status_code == 422
    assert post_accepted_signal(restricted_client, portfolio="Income")["status"] == "filled"


@pytest.mark.any_database
def test_signals_are_paged_and_filtered(trader):
    ids = [post_accepted_signal(trader, id=f"s{number}")["id"] for number in range(3)]
    first = trader.get("/signals", limit=2)
    assert [item["id"] for item in first.json()] == ids[:0:-1]
    assert 'rel="next"' in first.headers["Link"]
    path = first.headers["Link"].partition(">")[0].removeprefix("</api/v1")
    assert [item["id"] for item in trader.get(path).json()] == ids[:1]
    assert len(trader.get("/signals", status="filled", symbol="aapl", portfolio="growth").json()) == 3
    assert trader.get("/signals", status="rejected").json() == []
    assert trader.get("/signals", status="unknown").status_code == 422


@pytest.mark.any_database
def test_trading_routes_return_the_orders_and_positions_of_signals(trader):
    post_accepted_signal(trader)
    post_accepted_signal(trader, price="50")
    assert [item["symbol"] for item in trader.get("/trading/positions").json()] == ["AAPL"]
    assert len(trader.get("/trading/orders", status="pending", symbol="AAPL").json()) == 1
    assert len(trader.get("/trading/orders").json()) == 2
    post_accepted_signal(trader, qty=None, side=None, close=True)
    assert trader.get("/trading/positions").json() == []
    assert len(trader.get("/trading/positions", include_closed="true").json()) == 1
    snapshot = trader.get("/trading/portfolio", portfolio="Growth").json()
    assert snapshot == trader.get_portfolio()
    assert trader.get("/trading/portfolio").status_code == 422


@pytest.mark.any_database
def test_defaults_of_the_installation_apply_to_the_first_tenant(serve):
    with serve(signals_portfolio="Growth") as service:
        first = ApiClient(service, 1, BOOTSTRAP_KEY).open_portfolio()
        first.set_quote("AAPL", "99", "101", "100")
        assert post_accepted_signal(first, portfolio=None)["status"] == "filled"
        assert first.get("/trading/portfolio").json()["portfolio_name"] == "Growth"
        other = service.create_client().open_portfolio()
        assert post_signal(other, portfolio=None).status_code == 422
