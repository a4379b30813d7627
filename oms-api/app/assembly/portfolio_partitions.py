"""Assigns the orders of a portfolio to a worker process; see `forwarding`."""

import orjson

from app.config import Settings
from app.forwarding import Forwarder, WorkerSlots
from app.forwarding.forwarder import PartitionKey
from app.http.direct_routes import RequestInfo
from app.identity.dependencies.authentication import Authentication
from app.identity.rules.access import Operation
from app.metrics import Metrics
from app.orders.routes.order_entry import ORDERS_PATH


def build_forwarder(settings: Settings, authentication: Authentication, metrics: Metrics) -> Forwarder | None:
    """Return the forwarder of a worker process, or None if it is the only one."""
    slots = WorkerSlots.from_environment(settings.web_concurrency)
    if slots is None:
        return None
    partition_keys = {("POST", ORDERS_PATH): build_portfolio_key(authentication)}
    return Forwarder(slots, partition_keys, metrics.count_forwarded)


def build_portfolio_key(authentication: Authentication) -> PartitionKey:
    """Return a function that returns the tenant and the portfolio of an order, as one text.

    It returns None if the caller is not known without a query, or the body has no portfolio.
    """

    def find_portfolio(request: RequestInfo) -> bytes | None:
        try:
            caller = authentication.find_authorized_caller(request, Operation.PLACE_ORDER)
            name = None if caller is None else orjson.loads(request.body)["portfolio_name"]
        except Exception:  # noqa: BLE001  # this worker meets the same error, and responds
            return None
        if caller is None or not isinstance(name, str):
            return None
        return f"{caller.tenant_id} {name.strip().casefold()}".encode()

    return find_portfolio
