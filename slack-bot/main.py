"""Start the Slack bot: `python main.py`. README.md describes its settings."""

import logging
import os
import sys

from app.server.run import main

if __name__ == "__main__":
    status = main()
    logging.shutdown()
    sys.stderr.flush()
    # Threads that wait for the OMS would delay the exit. Their trades are safe to look up by idempotency key.
    os._exit(status)
