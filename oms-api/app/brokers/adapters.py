"""The adapters of brokers by name. Each is registered by one line."""

from collections.abc import Callable

from app.brokers.errors import NoAdapter
from app.brokers.protocol import Broker
from app.brokers.rules.connections import ConnectionTerms

ADAPTERS: dict[str, Callable[[ConnectionTerms], Broker]] = {}


def create_adapter(terms: ConnectionTerms) -> Broker:
    """Return the adapter of a connection. It sends nothing yet. Raises NoAdapter."""
    create = ADAPTERS.get(terms.broker)
    if create is None:
        raise NoAdapter(terms.broker)
    return create(terms)
