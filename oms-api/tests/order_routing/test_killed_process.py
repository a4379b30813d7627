"""The process of the OMS is killed between an entry and its fill: the exits are at Alpaca all the same."""

import httpx
import pytest

from app.database import connect_engine
from app.verify import verify_database
from tests.brokers.standins.alpaca.server import KEY_ID, SECRET_KEY, StandIn
from tests.factories import BOOTSTRAP_KEY
from tests.support.conditions import wait_until
from tests.support.processes import run_process

pytestmark = pytest.mark.any_database
WAIT_SECONDS = 300.0
BRACKET = {
    "portfolio_name": "Growth", "symbol": "AAPL", "side": "BUY", "quantity": "10", "type": "LIMIT",
    "limit_price": "95", "time_in_force": "GTC",
    "take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "80"},
}  # fmt: skip


@pytest.fixture
def alpaca():
    with StandIn() as running_alpaca:
        running_alpaca.exchange.quote("AAPL", "99", "101")
        yield running_alpaca


@pytest.fixture
def start_oms(database_url, alpaca):
    """Return a function that runs the OMS until the block ends."""
    settings = {"DATABASE_URL": database_url, "ENVIRONMENT": "development", "BROKER_SESSIONS": "on"}
    keys = {"ALPACA_API_KEY": KEY_ID, "ALPACA_API_SECRET": SECRET_KEY, "ALPACA_BASE_URL": alpaca.url}
    return lambda: run_process(**settings, **keys)


def connect_broker(service):
    headers = {"X-API-Key": BOOTSTRAP_KEY}
    return httpx.Client(base_url=f"{service.url}/api/v1", headers=headers, timeout=WAIT_SECONDS)


def set_up_portfolio(http):
    """Let the portfolio Growth trade at Alpaca."""
    assert http.put("/quotes/AAPL", json={"bid": "99", "ask": "101", "last": "100"}).status_code == 200
    wait_until(
        lambda: (
            [broker_connection["status"] for broker_connection in http.get("/broker-connections").json()]
            == ["connected"]
        )
    )
    assert http.post("/portfolios", json={"name": "Growth"}).status_code == 201
    to_alpaca = {"broker": "alpaca", "connection": "env-alpaca"}
    assert http.patch("/portfolios/Growth", json=to_alpaca).status_code == 200


def list_at_alpaca(alpaca):
    return sorted((order.side, order.type, order.status) for order in alpaca.exchange.orders.values())


def test_exits_work_after_a_kill_between_entry_and_fill(start_oms, alpaca, database_url):
    with start_oms() as oms, connect_broker(oms) as http:
        set_up_portfolio(http)
        entry = http.post("/orders", json=BRACKET).json()
        wait_until(lambda: http.get(f"/orders/{entry['id']}").json()["status"] == "ACCEPTED")
        oms.process.kill()
        oms.process.wait(60)
    alpaca.exchange.quote("AAPL", "94", "95")
    assert list_at_alpaca(alpaca) == [
        ("buy", "limit", "filled"), ("sell", "limit", "new"), ("sell", "stop", "held"),
    ]  # fmt: skip
    alpaca.exchange.quote("AAPL", "80", "81")
    with start_oms() as oms, connect_broker(oms) as http:
        wait_until(lambda: http.get(f"/orders/{entry['id']}").json()["status"] == "FILLED")
        wait_until(lambda: find_exits(http, entry) == {"LIMIT": "CANCELED", "STOP": "FILLED"})
        positions = http.get("/portfolio/Growth").json()["positions"]
        assert positions.get("AAPL", {"quantity": "0"})["quantity"] == "0"
    engine = connect_engine(database_url)
    assert not verify_database(engine).failed
    engine.dispose()


def find_exits(http, entry):
    return {leg["type"]: leg["status"] for leg in http.get(f"/orders/{entry['id']}").json()["legs"]}
