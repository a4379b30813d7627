"""A service whose portfolio Growth trades at the stand-in of Alpaca."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.brokers.standins.alpaca.server import KEY_ID, SECRET_KEY, StandIn
from tests.factories import BOOTSTRAP_KEY
from tests.support.conditions import wait_until
from tests.support.service import ApiClient


@contextmanager
def trading_at_alpaca(serve: Callable[..., Any], standin: StandIn) -> Iterator[ApiClient]:
    """Provide the portfolio, over the connection of the environment."""
    settings = {"broker_sessions": "on", "environment": "development", "alpaca_base_url": standin.url}
    with serve(**settings, alpaca_api_key=KEY_ID, alpaca_api_secret=SECRET_KEY) as service:
        api = ApiClient(service, 1, BOOTSTRAP_KEY)
        api.set_quote("AAPL", "99", "101", "100")
        wait_until(lambda: _find_status(api) == "connected")
        assert api.post("/portfolios", {"name": "Growth"}).status_code == 201
        to_alpaca = {"broker": "alpaca", "connection": "env-alpaca"}
        assert api.patch("/portfolios/Growth", to_alpaca).status_code == 200
        yield api


def _find_status(api: ApiClient) -> str | None:
    connections = api.get("/broker-connections").json()
    return connections[0]["status"] if connections else None
