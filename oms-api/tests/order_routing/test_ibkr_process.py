"""The process for IBKR trades over the stand-in of TWS, connected to the API by the database alone."""

import sys
from decimal import Decimal

import pytest

from app.verify import verify_database
from tests.brokers.standins.ibkr.server import LOOPBACK, StandIn
from tests.factories import BOOTSTRAP_KEY
from tests.support.conditions import wait_until
from tests.support.guarded_programs import start_guarded
from tests.support.processes import HOME, build_environment
from tests.support.service import ApiClient

pytestmark = pytest.mark.any_database
WAIT_SECONDS = 120.0


@pytest.fixture
def tws():
    with StandIn() as running:
        running.quote("EURUSD", "1.08500", "1.08505")
        running.quote("AAPL", "99", "101")
        yield running


@pytest.fixture
def start_process(database_url, tws, tmp_path):
    """Return a function that starts the process."""
    started = []
    environment = build_environment(
        DATABASE_URL=database_url, ENVIRONMENT="development", IB_HOST=LOOPBACK, IB_PORT=str(tws.port)
    )

    def start():
        with (tmp_path / "ibkr.log").open("ab") as log:
            command = [sys.executable, "-m", "app.brokers.ibkr"]
            started.append(start_guarded(command, cwd=HOME, env=environment, stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait(60)


@pytest.fixture
def trading(serve, start_process):
    """Provide the API with a portfolio that trades at IBKR, and the process."""
    with serve(broker_sessions="on", environment="development") as service:
        api = ApiClient(service, 1, BOOTSTRAP_KEY)
        exit_terms = {
            "exchange": "",
            "asset_class": "fx",
            "currency": "USD",
            "tick_size": "0.00005",
            "lot_size": "1",
        }
        assert api.put("/instruments/EURUSD", exit_terms).status_code in {200, 201}
        api.set_quote("EURUSD", "1.08500", "1.08505", "1.08500")
        api.set_quote("AAPL", "99", "101", "100")
        process = start_process()
        wait_until(
            lambda: (
                [broker_connection["status"] for broker_connection in api.get("/broker-connections").json()]
                == ["connected"]
            )
        )
        assert api.post("/portfolios", {"name": "Growth"}).status_code == 201
        to_ibkr = {"broker": "ibkr", "connection": "env-ibkr"}
        assert api.patch("/portfolios/Growth", to_ibkr).status_code == 200
        yield api, process


def list_charges(api):
    rows = api.get("/portfolios/Growth/cash").json()["rows"]
    return [Decimal(row["amount"]) for row in rows if row["kind"] == "charges"]


def wait_for_status(api, order, status):
    return wait_until(lambda: (order_body := api.get_order(order["id"]))["status"] == status and order_body)


def test_killed_process_loses_and_doubles_nothing(trading, tws, start_process):
    api, process = trading
    currency_order = api.place_order(symbol="EURUSD", quantity="25000")
    filled = wait_for_status(api, currency_order, "FILLED")
    assert [fill["price"] for fill in filled["fills"]] == ["1.08505"]
    resting = api.place_order(type="LIMIT", limit_price="95", time_in_force="GTC")
    wait_for_status(api, resting, "ACCEPTED")
    changed = api.patch(f"/orders/{resting['id']}", {"limit_price": "96"})
    assert changed.status_code in {200, 201, 202}, changed.text
    replaced = wait_for_status(api, resting, "REPLACED")
    tws.faults.add("mute")
    unknown = api.place_order()
    wait_until(lambda: len(tws.exchange.orders) == 3)
    process.kill()
    process.wait(60)
    tws.faults.clear()
    tws.quote("AAPL", "94", "95")  # fills the replaced order while the OMS does not listen
    start_process()
    successor = {"id": replaced["replaced_by"]}
    wait_for_status(api, unknown, "FILLED")
    wait_for_status(api, successor, "FILLED")
    assert len(tws.exchange.orders) == 3
    assert api.get_portfolio()["positions"]["AAPL"]["quantity"] == "20"
    wait_until(lambda: len(list_charges(api)) == 3)
    assert sum(list_charges(api)) == -3
    assert not verify_database(api.service.engine).failed


def test_exits_work_after_a_kill_between_entry_and_fill(trading, tws, start_process):
    api, process = trading
    exits = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "80"}}
    entry = api.place_order(type="LIMIT", limit_price="95", time_in_force="GTC", **exits)
    wait_for_status(api, entry, "ACCEPTED")
    process.kill()
    process.wait(60)
    tws.quote("AAPL", "94", "95")
    sales = [(order.kind, order.status) for order in tws.exchange.orders if order.sign < 0]
    assert sales == [("LMT", "Submitted"), ("STP", "PreSubmitted")]
    tws.quote("AAPL", "80", "81")
    start_process()
    filled = wait_for_status(api, entry, "FILLED")
    target, stop = ({"id": leg["id"]} for leg in filled["legs"])
    wait_for_status(api, stop, "FILLED")
    wait_for_status(api, target, "CANCELED")
    assert len(tws.exchange.orders) == 3


def test_api_leaves_connections_of_ibkr_to_their_process(serve, tws):
    with serve(broker_sessions="on", environment="development") as service:
        api = ApiClient(service, 1, BOOTSTRAP_KEY)
        body = {"name": "ib", "broker": "ibkr", "base_url": tws.address, "credentials": {}}
        assert api.post("/broker-connections", body).status_code == 201
        tested = api.post("/broker-connections/ib:test", {}).json()
        assert (tested["ok"], tested["account"], tested["paper"]) == (True, "DU1234567", True)
        assert api.get("/broker-connections/ib").json()["status"] == "new"
