"""Start the stand-in, print its address, and serve until stopped.

Its credentials are KITE_API_KEY and KITE_API_SECRET, or those that it prints.
"""

import argparse
import os

from tests.brokers.standins.demo import add_demo_arguments, start_demo
from tests.brokers.standins.kite.server import API_KEY, API_SECRET, StandIn

DEFAULT_PORT = 3021
DEMO_QUOTES = (
    ("RELIANCE", "1520.10", "1520.30"),
    ("INFY", "1573.65", "1573.70"),
    ("SBIN", "560.00", "560.10"),
    ("M&M", "3100.00", "3100.50"),
)
ACCOUNT_STATE = ("cash", "orders", "trades", "positions", "holdings")


def main() -> None:
    """Run the stand-in."""
    parser = argparse.ArgumentParser(description="A stand-in of Kite Connect on the loopback address.")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    api_key, api_secret = (os.environ.get(name) for name in ("KITE_API_KEY", "KITE_API_SECRET"))
    add_demo_arguments(parser)
    options = parser.parse_args()
    stand_in = StandIn(options.port, api_key or API_KEY, api_secret or API_SECRET)
    exchange = stand_in.exchange
    symbols = [
        listing.symbol
        for listing in exchange.listings.values()
        if (listing.exchange, listing.kind) == ("NSE", "EQ")
    ]
    is_moving = start_demo(options, exchange, symbols, ACCOUNT_STATE, exchange.run_locked)
    exchange.continue_numbers()
    for symbol, bid, ask in () if is_moving else DEMO_QUOTES:
        exchange.quote(symbol, bid, ask)
    key_text = "" if api_secret else f"  api_key {API_KEY}  api_secret {API_SECRET}"
    print(f"Kite stand-in: {stand_in.url}{key_text}", flush=True)
    stand_in.run()


if __name__ == "__main__":
    main()
