"""The adapters of brokers by name. Each is registered by one line."""

from collections.abc import Callable
from functools import partial

from sqlalchemy import Engine

from app.brokers.alpaca.factory import create_alpaca_broker
from app.brokers.errors import NoAdapter
from app.brokers.ibkr.factory import create_ibkr_broker
from app.brokers.protocol import Broker, LogIn, ObserveRequest, ignore_request
from app.brokers.remote.adapter import RemoteBroker
from app.brokers.rules.connections import BrokerName, ConnectionTerms
from app.brokers.zerodha.factory import create_zerodha_broker
from app.brokers.zerodha.instrument_dump import fetch_instruments
from app.brokers.zerodha.sessions import ZerodhaLogIn
from app.instruments.rules import Instrument

# Processes share the rate limit of an account through the database.
ADAPTERS: dict[str, Callable[[ConnectionTerms, Engine | None], Broker]] = {
    BrokerName.ALPACA: create_alpaca_broker,
    BrokerName.IBKR: create_ibkr_broker,
    BrokerName.ZERODHA: create_zerodha_broker,
}

# The brokers whose sessions end every day, so that a person must log in.
LOG_INS: dict[str, Callable[[ConnectionTerms], LogIn]] = {
    BrokerName.ZERODHA: ZerodhaLogIn,
}

# The brokers whose instruments are loaded every day.
INSTRUMENT_DUMPS: dict[str, Callable[[str], dict[str, Instrument]]] = {
    BrokerName.ZERODHA: fetch_instruments,
}


def create_adapter(
    terms: ConnectionTerms, engine: Engine | None = None, observe: ObserveRequest = ignore_request
) -> Broker:
    """Return the adapter of a connection. It sends nothing yet. Raises NoAdapter.

    `observe` is called after each request to the broker.
    """
    create = ADAPTERS.get(terms.broker)
    if create is None:
        raise NoAdapter(terms.broker)
    broker = create(terms, engine)
    if isinstance(broker, RemoteBroker):
        broker.observe_requests(partial(observe, str(terms.broker)))
    return broker
