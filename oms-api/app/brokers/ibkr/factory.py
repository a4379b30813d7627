"""Create the adapter of a connection, if the extra `ibkr` is installed."""

from collections.abc import Callable, Sequence

from sqlalchemy import Engine

from app.brokers.errors import NoAdapter
from app.brokers.ibkr.rules.tracked_order import ReplacementChain
from app.brokers.protocol import Broker
from app.brokers.rules.connections import BrokerName, ConnectionTerms

TEST_CLIENT_ID = 999  # of the connection test in the API, while the process of the adapter has its own


def create_ibkr_broker(terms: ConnectionTerms, _: Engine | None = None) -> Broker:
    """Return the adapter with which the API tests a connection. It sends no orders. Raises NoAdapter."""
    return create_broker(terms, TEST_CLIENT_ID)


def create_broker(
    terms: ConnectionTerms, client_id: int, load_chains: Callable[[], Sequence[ReplacementChain]] = tuple
) -> Broker:
    """Return the adapter of a connection. It sends nothing yet. Raises NoAdapter.

    `load_chains` reads the replacements of earlier processes.
    """
    try:
        from app.brokers.ibkr.broker import IbkrBroker  # noqa: PLC0415  # ib_async is an extra
        from app.brokers.ibkr.gateway import GatewayAddress  # noqa: PLC0415  # likewise
    except ModuleNotFoundError:
        raise NoAdapter(BrokerName.IBKR.value) from None
    host, _, port = terms.base_url.rpartition(":")
    address = GatewayAddress(host, int(port), client_id)
    return IbkrBroker(address, terms.account, load_chains=load_chains)
