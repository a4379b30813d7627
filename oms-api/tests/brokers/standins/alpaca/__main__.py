"""Start the stand-in, print its address and credentials, and serve until stopped."""

import argparse

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
    stand_in = StandIn(parser.parse_args().port)
    for symbol, bid, ask in DEMO_QUOTES:
        stand_in.exchange.quote(symbol, bid, ask)
    print(f"Alpaca stand-in: {stand_in.url}  key {KEY_ID}  secret {SECRET_KEY}", flush=True)
    stand_in.run()


if __name__ == "__main__":
    main()
