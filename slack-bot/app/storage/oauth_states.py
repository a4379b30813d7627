"""States of installations that people have started. Each is valid once, at any bot, for ten minutes."""

import hashlib
import secrets

from app.storage.storage import Storage

LIFETIME_SECONDS = 600.0


class OAuthStates:
    """Issue and consume states.

    A state is not tied to a browser: an installation does not log its visitor in, and a workspace that was
    installed has no access to a trading system until an operator connects it.
    """

    def __init__(self, storage: Storage):
        self._database = storage.database

    def issue(self) -> str:
        """Store a new state and return it. Raises `DatabaseError`."""
        state = secrets.token_urlsafe(32)
        now = self._database.now
        self._database.execute(f"DELETE FROM oauth_states WHERE expires_at < {now}")
        self._database.execute(
            f"INSERT INTO oauth_states (digest, expires_at) VALUES (?, {now} + ?)",
            _compute_digest(state),
            LIFETIME_SECONDS,
        )
        return state

    def consume(self, state: str) -> bool:
        """Remove a state. Return whether it was valid. Raises `DatabaseError`."""
        statement = f"DELETE FROM oauth_states WHERE digest = ? RETURNING expires_at > {self._database.now}"
        rows = self._database.execute(statement, _compute_digest(state))
        return bool(rows and rows[0][0])


def _compute_digest(state: str) -> str:
    return hashlib.sha256(state.encode("utf-8", "surrogateescape")).hexdigest()
