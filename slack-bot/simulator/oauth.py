"""The codes of installations, which the bot exchanges for its token."""

import secrets
import threading
from typing import Any

from simulator import workspace
from simulator.errors import SlackError
from simulator.installations import Installations
from simulator.workspace import Team

MAX_CODES = 100


class OAuthCodes:
    """The codes that were issued and not exchanged yet, with their scopes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._codes: dict[str, tuple[str, Team]] = {}

    def issue(self, scopes: str, team: Team) -> str:
        """Return a new code for a workspace that consented."""
        code = secrets.token_hex(16)
        with self._lock:
            self._codes[code] = (scopes, team)
            while len(self._codes) > MAX_CODES:
                self._codes.pop(next(iter(self._codes)))
        return code

    def exchange(self, parameters: dict[str, Any], installations: Installations) -> dict[str, Any]:
        """``oauth.v2.access``: install the app, and return the bot token for a code. Raises SlackError."""
        with self._lock:
            grant = self._codes.pop(str(parameters.get("code") or ""), None)
        if grant is None:
            raise SlackError("invalid_code")
        scopes, team = grant
        return {
            "ok": True,
            "access_token": installations.install(team),
            "token_type": "bot",
            "scope": scopes,
            "bot_user_id": workspace.BOT_USER_ID,
            "app_id": workspace.APP_ID,
            "team": {"id": team.id, "name": team.name},
            "enterprise": None,
            "is_enterprise_install": False,
        }
