"""Start the stand-in, print its address, and serve until stopped.

Its credentials are ALPACA_API_KEY and ALPACA_API_SECRET, or those that it prints.
"""

import argparse
import os

from tests.brokers.standins.alpaca.server import KEY_ID, SECRET_KEY, StandIn
from tests.brokers.standins.demo import add_demo_arguments, start_demo

DEFAULT_PORT = 3020
DEMO_QUOTES = (
    ("AAPL", "189.98", "190.02"),
    ("MSFT", "420.10", "420.20"),
    ("TSLA", "250.00", "250.10"),
    ("SPY", "559.99", "560.01"),
    ("BTC/USD", "64000", "64010"),
    ("ETH/USD", "3100", "3100.50"),
)
ACCOUNT_STATE = ("cash", "orders", "executions", "positions", "_by_client_order_id")


def main() -> None:
    """Run the stand-in."""
    parser = argparse.ArgumentParser(description="A stand-in of Alpaca on the loopback address.")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    key_id, secret_key = (os.environ.get(name) for name in ("ALPACA_API_KEY", "ALPACA_API_SECRET"))
    parser.add_argument("--account", help="Its number; PA begins that of a paper account.")
    add_demo_arguments(parser)
    options = parser.parse_args()
    stand_in = StandIn(options.port, key_id or KEY_ID, secret_key or SECRET_KEY)
    exchange = stand_in.exchange
    exchange.account_number = options.account or exchange.account_number
    is_moving = start_demo(
        *(options, exchange, exchange.assets, ACCOUNT_STATE, exchange.run_locked),
        lambda save: exchange.listeners.insert(0, lambda _: save()),
    )
    for symbol, bid, ask in () if is_moving else DEMO_QUOTES:
        exchange.quote(symbol, bid, ask)
    key_text = "" if secret_key else f"  key {KEY_ID}  secret {SECRET_KEY}"
    print(f"Alpaca stand-in: {stand_in.url}{key_text}", flush=True)
    stand_in.run()


if __name__ == "__main__":
    main()
