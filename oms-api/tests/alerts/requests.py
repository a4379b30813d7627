"""Requests about alerts, and the prices that trigger them."""

import time

from app.alerts.service.portfolio_alerts import PortfolioAlerts
from app.alerts.service.price_alert_watcher import PriceAlertWatcher
from app.clock import utc_now
from app.database import Readers, connect_engine
from app.database.transactions import Transactions
from app.market_data.service import Market
from app.market_data.sources.manual import ManualSource
from tests.support.conditions import WAIT_SECONDS
from tests.support.event_schemas import VALIDATORS
from tests.support.jobs import EndlessLease

PRICE = {"kind": "price", "symbol": "AAPL", "above": "100"}


def create_alert(api, **changes):
    response = api.post("/alerts", {**PRICE, **changes})
    assert response.status_code == 201, response.text
    return response.json()


def list_alerts(api, count=None):
    """Return the events of alerts, oldest first. With `count`, wait until there are as many."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        events = api.get("/events", type="alert.*").json()
        if count is None or len(events) >= count or time.monotonic() > deadline:
            payloads = [event["data"] for event in reversed(events)]
            for payload in payloads:
                VALIDATORS["alert.fired"].validate(payload)
            return payloads
        time.sleep(0.02)


def set_last_price(api, price):
    api.set_quote("AAPL", None, None, price)


def run_second_watcher(service):
    """Return the watcher of another process, with its own view of the market, and its close function."""
    engine = connect_engine(service.database_url, readers=1, tenant_scoped=True)
    readers, transactions = Readers(engine, 1), Transactions(engine)
    market = Market(ManualSource(), readers)

    def close():
        transactions.close()
        readers.close()
        engine.dispose()

    return PriceAlertWatcher(readers, transactions, market, utc_now), close


def check_portfolios(api, times=1):
    """Run the job of portfolio alerts."""
    engine = connect_engine(api.service.database_url, readers=1, tenant_scoped=True)
    try:
        job = PortfolioAlerts(engine, api.service.app.state.valuer, utc_now)
        for _ in range(times):
            job.check(EndlessLease())
    finally:
        engine.dispose()


def watch_portfolio(api, **body):
    response = api.post("/alerts", {"portfolio_name": "growth", **body})
    assert response.status_code == 201, response.text
