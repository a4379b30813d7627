"""`python main.py` starts the Slack bot; its settings are described in README.md."""

import logging
import os
import sys

from app.server.run import main

if __name__ == "__main__":
    status = main()
    logging.shutdown()
    sys.stderr.flush()
    # What still waits for a silent OMS would hold the exit; its key makes it safe to ask again.
    os._exit(status)
