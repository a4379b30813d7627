"""The adapters of brokers by name. Each is registered by one line."""

from collections.abc import Callable

from app.brokers.alpaca.factory import create_alpaca_broker
from app.brokers.errors import NoAdapter
from app.brokers.protocol import Broker, ObserveRequest, ignore_request
from app.brokers.rules.connections import BrokerName, ConnectionTerms

# Processes share the rate limit of an account through Redis, if there is one.
ADAPTERS: dict[str, Callable[[ConnectionTerms, str | None, ObserveRequest], Broker]] = {
    BrokerName.ALPACA: create_alpaca_broker,
}


def create_adapter(
    terms: ConnectionTerms, redis_url: str | None = None, observe: ObserveRequest = ignore_request
) -> Broker:
    """Return the adapter of a connection. It sends nothing yet. Raises NoAdapter.

    `observe` is called after each request to the broker.
    """
    create = ADAPTERS.get(terms.broker)
    if create is None:
        raise NoAdapter(terms.broker)
    return create(terms, redis_url, observe)
