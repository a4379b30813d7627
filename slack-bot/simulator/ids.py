"""Create identifiers in Slack's format."""

import secrets
import string

from simulator.clock import Clock

ALPHABET = string.ascii_uppercase + string.digits
MICROSECONDS = 1_000_000


def generate_id(prefix: str, length: int = 10) -> str:
    """Return ``prefix`` and ``length`` random capitals and digits."""
    return prefix + "".join(secrets.choice(ALPHABET) for _ in range(length))


def digits(length: int) -> str:
    """Return that many random decimal digits."""
    return "".join(secrets.choice(string.digits) for _ in range(length))


def trigger_id() -> str:
    """Return a trigger id with Slack's three parts."""
    return f"{digits(13)}.{digits(12)}.{secrets.token_hex(16)}"


class Timestamps:
    """Timestamps of messages. Each is later than the previous one, because they identify messages."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last = 0

    def next(self) -> str:
        """Return the next timestamp, such as ``1700000000.000100``."""
        self._last = max(int(self._clock.now() * MICROSECONDS), self._last + 1)
        return f"{self._last // MICROSECONDS}.{self._last % MICROSECONDS:06d}"
