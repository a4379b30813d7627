"""Simulate a trading day: `python -m tests.day --database-url URL` on an empty, migrated database.

Status 1 says that the day does not add up.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from tests.day.simulation import simulate


def main() -> int:
    """Run as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--tickets", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=8)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(10**6))
    parser.add_argument("--seconds", type=float, default=1800.0, help="after which the day has failed")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as logs:
        day = simulate(args.database_url, Path(logs), args.tickets, args.seed, args.kills, args.seconds)
    print(day)
    print("\n".join(day.faults[:50]) or "everything adds up, and app.verify is clean")
    return 1 if day.faults else 0


if __name__ == "__main__":
    sys.exit(main())
