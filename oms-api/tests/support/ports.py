"""Free ports of this machine for programs of tests.

They are below the range from which the system takes ports for connections: there, a port can be taken again
between the search and the start of the program, or while a killed program is started again.
"""

import socket
from itertools import islice
from random import SystemRandom

_BELOW_EPHEMERAL = range(15_000, 30_000)
_RANDOM = SystemRandom()  # a seeded generator gives the same ports to processes that run at once


def find_free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on."""
    candidates = _RANDOM.sample(_BELOW_EPHEMERAL, len(_BELOW_EPHEMERAL))
    return list(islice(filter(_is_free, candidates), count))


def find_free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    return find_free_ports(1)[0]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
