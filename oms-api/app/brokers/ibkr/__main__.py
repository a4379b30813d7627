"""Start the process that trades at Interactive Brokers: `python -m app.brokers.ibkr`."""

import sys

from app.ibkr_worker import main

if __name__ == "__main__":
    sys.exit(main())
