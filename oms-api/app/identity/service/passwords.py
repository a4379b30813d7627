"""Hashes passwords with argon2id in two threads, off the event loop."""

import logging
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

from app.database.thread_pool import BoundedThreadPool
from app.errors import Invalid
from app.identity.rules.passwords import find_password_error, normalize_password

if TYPE_CHECKING:
    from argon2 import PasswordHasher

# The first choice of OWASP's password storage cheat sheet: 19 MiB, two passes, one lane.
MEMORY_KIB, PASSES, LANES = 19_456, 2, 1
THREADS = 2
MAX_WAITING = 40  # at 25 to 50 ms a hash, the last of the queue waits about one second
# Compared with when the user does not exist, so that the response takes the same time.
PLACEHOLDER_HASH = f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${'A' * 22}${'A' * 43}"
_LOG = logging.getLogger(__name__)


class PasswordCheck(NamedTuple):
    """The result of a password check. `new_hash` is set if the stored hash has outdated parameters."""

    is_correct: bool
    new_hash: str | None = None


class Passwords:
    """The only place that hashes passwords. Raises Unavailable when its bounded queue is full."""

    def __init__(self, threads: int = THREADS, max_waiting: int = MAX_WAITING) -> None:
        too_many = "Too many people are logging in at this moment; try again in a second."
        self._threads = BoundedThreadPool(threads, max_waiting, "passwords", too_many)

    async def hash(self, password: str) -> str:
        """Return the hash of a password that `require_strong_password` accepted."""
        return await self._threads.run(lambda: _get_hasher().hash(normalize_password(password)))

    async def verify(self, stored: str | None, password: str) -> PasswordCheck:
        """Compare a password with a stored hash. None (unknown user) takes as long and never matches."""
        return await self._threads.run(lambda: _verify(stored, password))

    def close(self) -> None:
        """Finish the running work and stop."""
        self._threads.close()


def require_strong_password(password: str, own: Iterable[str]) -> None:
    """Raise Invalid if the password is too weak for a user with these names and addresses."""
    error = find_password_error(password, own, load_common_passwords())
    if error:
        raise Invalid("This password is not accepted; see `errors`.", [error])


@cache
def load_common_passwords() -> frozenset[str]:
    """Return the common passwords in lower case."""
    text = resources.files("app.identity").joinpath("common_passwords.txt").read_text("utf-8")
    return frozenset(text.split())


def _verify(stored: str | None, password: str) -> PasswordCheck:
    from argon2.exceptions import InvalidHashError, VerificationError  # noqa: PLC0415  # see _hasher

    normalized = normalize_password(password)
    try:
        _get_hasher().verify(stored or PLACEHOLDER_HASH, normalized)
    except VerificationError:
        return PasswordCheck(False)
    except InvalidHashError:
        _LOG.error("a stored password hash is none of argon2id")
        return PasswordCheck(False)
    if stored is None:
        return PasswordCheck(False)
    return PasswordCheck(
        True, _get_hasher().hash(normalized) if _get_hasher().check_needs_rehash(stored) else None
    )


@cache
def _get_hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher  # noqa: PLC0415  # a service without logins does not need it

    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
