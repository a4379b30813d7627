"""Where requests come from, as far as sessions and throttles tell clients apart, and what people say."""

import hashlib
from dataclasses import dataclass, field

from app.addresses import network_of


@dataclass(frozen=True, slots=True)
class Client:
    """Where a request comes from, and what it is called in logs."""

    address: str
    user_agent: str
    request_id: str

    @property
    def hash(self) -> str:
        """What tells clients apart: 32 digits for the network, 32 for it with the User-Agent."""
        network = network_of(self.address)
        return f"{address_hash(network)}{_digits(network, self.user_agent)}"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a person says: the tenant's slug, an e-mail address in lower case, the password."""

    tenant: str
    email: str
    password: str = field(repr=False)

    @property
    def account(self) -> str:
        """What failures are counted for, whether or not it exists."""
        return f"{self.tenant}\0{self.email}"


def address_hash(address: str) -> str:
    """Return the first half of a client's hash."""
    return _digits(network_of(address))


def _digits(*facts: str) -> str:
    return hashlib.sha256("\0".join(facts).encode(errors="replace")).hexdigest()[:32]
