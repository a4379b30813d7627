"""The client of a request, as sessions and throttles distinguish clients, and login credentials."""

import hashlib
from dataclasses import dataclass, field

from app.addresses import find_network


@dataclass(frozen=True, slots=True)
class Client:
    """The network address of a request and its User-Agent."""

    address: str
    user_agent: str
    request_id: str

    @property
    def hash(self) -> str:
        """The client's fingerprint: 32 hex digits of the network, then 32 that include the User-Agent."""
        network = find_network(self.address)
        return f"{hash_address(network)}{_compute_digest(network, self.user_agent)}"


@dataclass(frozen=True, slots=True)
class LoginCredentials:
    """The tenant's slug, an e-mail address in lower case, and the password."""

    tenant: str
    email: str
    password: str = field(repr=False)

    @property
    def account(self) -> str:
        """The account that failed attempts are counted for, whether or not it exists."""
        return f"{self.tenant}\0{self.email}"


def hash_address(address: str) -> str:
    """Return the network half of a client's fingerprint."""
    return _compute_digest(find_network(address))


def _compute_digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:32]
