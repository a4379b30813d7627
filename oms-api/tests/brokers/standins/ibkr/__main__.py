"""Start the stand-in, print its address, and serve until stopped.

Lines on standard input change it: `quote EURUSD 1.0850 1.0851`, `cut`, `offline`, `online`,
`fault cut_after`, `message 10197`.
"""

import argparse
import sys
import threading

from tests.brokers.standins.demo import add_demo_arguments, start_demo
from tests.brokers.standins.ibkr.server import ACCOUNT, StandIn

DEFAULT_PORT = 4002
DEMO_QUOTES = (("EURUSD", "1.08500", "1.08505"), ("AAPL", "189.98", "190.02"), ("MSFT", "420.10", "420.20"))
ACCOUNT_STATE = ("cash", "orders", "positions")


def run_command(stand_in: StandIn, line: str) -> None:
    """Carry out a line of standard input."""
    match line.split():
        case ["quote", name, bid, ask]:
            stand_in.quote(name, bid, ask)
        case ["cut"]:
            stand_in.cut()
        case ["offline"]:
            stand_in.lose_connectivity()
        case ["online"]:
            stand_in.restore_connectivity()
        case ["fault", kind]:
            stand_in.faults.add(kind)
        case ["message", code]:
            stand_in.announce(int(code))
        case _:
            print("Unknown command.", flush=True)


def main() -> None:
    """Run the stand-in."""
    parser = argparse.ArgumentParser(description="A stand-in of TWS on the loopback address.")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT)
    parser.add_argument("--account", default=ACCOUNT)
    add_demo_arguments(parser)
    options = parser.parse_args()
    stand_in = StandIn(options.port, options.account)
    symbols = [name for name, _, _ in DEMO_QUOTES]
    is_moving = start_demo(options, stand_in.exchange, symbols, ACCOUNT_STATE, stand_in.call)
    stand_in.continue_numbers()
    stand_in.start()
    for name, bid, ask in () if is_moving else DEMO_QUOTES:
        stand_in.quote(name, bid, ask)
    print(f"IBKR stand-in: {stand_in.address}  account {options.account}", flush=True)
    for line in sys.stdin:
        run_command(stand_in, line)
    threading.Event().wait()


if __name__ == "__main__":
    main()
