"""Fetch Kite's instruments. The dump needs no session, and Kite renews it every morning."""

from app.brokers.remote.rest_client import RestTimeouts
from app.brokers.zerodha.client import KiteClient, KiteCredentials
from app.brokers.zerodha.rules.instruments import merge_instruments, parse_instruments
from app.instruments.rules import Instrument

EXCHANGES = ("NSE", "BSE")  # of a symbol that both have, the first one counts
READ_TIMEOUT_SECONDS = 20.0


def fetch_instruments(base_url: str) -> dict[str, Instrument]:
    """Return the shares of Kite's exchanges by symbol. Raises BrokerUnavailable."""
    client = KiteClient(
        base_url, KiteCredentials("", ""), timeouts=RestTimeouts(response=READ_TIMEOUT_SECONDS)
    )
    try:
        texts = [client.get_text(f"/instruments/{exchange}") for exchange in EXCHANGES]
    finally:
        client.close()
    return merge_instruments(*(parse_instruments(text.splitlines()) for text in texts))
