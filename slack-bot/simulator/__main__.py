"""Start the simulator, print its address and serve until stopped: ``python -m simulator``."""

import sys

from simulator import config
from simulator.errors import ConfigError
from simulator.server import Server

BAD_CONFIGURATION = 2


def main() -> int:
    """Run the simulator. Return the exit status."""
    try:
        server = Server(config.load())
    except ConfigError as error:
        sys.stderr.write(f"simulator: {error}\n")
        return BAD_CONFIGURATION
    except OSError as error:
        sys.stderr.write(f"simulator: cannot listen: {error}\n")
        return 1
    sys.stdout.write(f"Slack simulator: {server.url}\n")
    sys.stdout.flush()
    server.run_until_signalled()
    return 0


if __name__ == "__main__":
    sys.exit(main())
