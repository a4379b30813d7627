"""The codes of installations, which the bot exchanges for its token."""

import secrets
import threading
from typing import Any

from simulator import workspace
from simulator.errors import SlackError

MAX_CODES = 100


class OAuthCodes:
    """The codes that were issued and not exchanged yet, with their scopes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._codes: dict[str, str] = {}

    def issue(self, scopes: str) -> str:
        """Return a new code."""
        code = secrets.token_hex(16)
        with self._lock:
            self._codes[code] = scopes
            while len(self._codes) > MAX_CODES:
                self._codes.pop(next(iter(self._codes)))
        return code

    def exchange(self, given: dict[str, Any], bot_token: str) -> dict[str, Any]:
        """``oauth.v2.access``: return the bot token for a code. Raise SlackError."""
        with self._lock:
            scopes = self._codes.pop(str(given.get("code") or ""), None)
        if scopes is None:
            raise SlackError("invalid_code")
        return {
            "ok": True,
            "access_token": bot_token,
            "token_type": "bot",
            "scope": scopes,
            "bot_user_id": workspace.BOT_USER_ID,
            "app_id": workspace.APP_ID,
            "team": {"id": workspace.TEAM_ID, "name": workspace.TEAM_NAME},
            "enterprise": None,
            "is_enterprise_install": False,
        }
