"""Start the stand-in, print its address, and serve until stopped.

Its credentials are ALPACA_API_KEY and ALPACA_API_SECRET, or those that it prints.
"""

import argparse
import os

from tests.brokers.standins.alpaca.server import KEY_ID, SECRET_KEY, StandIn

DEFAULT_PORT = 3020
DEMO_QUOTES = (
    ("AAPL", "189.98", "190.02"),
    ("MSFT", "420.10", "420.20"),
    ("TSLA", "250.00", "250.10"),
    ("SPY", "559.99", "560.01"),
    ("BTC/USD", "64000", "64010"),
    ("ETH/USD", "3100", "3100.50"),
)


def main() -> None:
    """Run the stand-in."""
    parser = argparse.ArgumentParser(description="A stand-in of Alpaca on the loopback address.")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    key_id, secret_key = (os.environ.get(name) for name in ("ALPACA_API_KEY", "ALPACA_API_SECRET"))
    parser.add_argument("--account", help="Its number; PA begins that of a paper account.")
    options = parser.parse_args()
    stand_in = StandIn(options.port, key_id or KEY_ID, secret_key or SECRET_KEY)
    stand_in.exchange.account_number = options.account or stand_in.exchange.account_number
    for symbol, bid, ask in DEMO_QUOTES:
        stand_in.exchange.quote(symbol, bid, ask)
    shown = "" if secret_key else f"  key {KEY_ID}  secret {SECRET_KEY}"
    print(f"Alpaca stand-in: {stand_in.url}{shown}", flush=True)
    stand_in.run()


if __name__ == "__main__":
    main()
