"""Cache which workspace the bot token belongs to, according to `auth.test`."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.errors import SlackError

FAILURE_SECONDS = 2.0  # a failed call is not repeated sooner


@dataclass(frozen=True)
class Installation:
    """The workspace in which the app is installed. `enterprise_id` is empty outside Enterprise Grid."""

    team_id: str
    enterprise_id: str = ""
    is_org_wide: bool = False
    name: str = ""
    scopes: str = ""  # granted to the bot token, separated by commas

    def includes(self, team_id: str, enterprise_id: str) -> bool:
        """Return whether a request from this workspace belongs to the installation.

        `enterprise_id` is empty if the request names none.
        """
        return bool(team_id) and team_id == self.team_id and enterprise_id in ("", self.enterprise_id)


class InstallationCache:
    """Cache the installation. Concurrent threads share one call to Slack."""

    def __init__(self, load: Callable[[], Installation], clock: Callable[[], float] = time.monotonic):
        self._load = load
        self._clock = clock
        self._lock = threading.Lock()
        self._installation: Installation | None = None
        self._failure: SlackError | None = None
        self._failed_at = 0.0

    def get(self) -> Installation:
        """Return the installation. Load it from Slack if it is not cached. Raises `SlackError`."""
        installation = self._installation
        if installation is not None:
            return installation
        with self._lock:
            if self._installation is not None:
                return self._installation
            if self._failure and self._clock() < self._failed_at + FAILURE_SECONDS:
                raise self._failure
            return self._load_installation()

    @property
    def team(self) -> str:
        """The id of the workspace, empty if the installation is not cached."""
        return self._installation.team_id if self._installation else ""

    def refresh(self) -> Installation:
        """Load the installation from Slack. If that raises `SlackError`, the cached one is kept."""
        with self._lock:
            return self._load_installation()

    def remember(self, installation: Installation) -> None:
        """Cache the installation."""
        self._installation = installation

    def _load_installation(self) -> Installation:
        try:
            installation = self._load()
        except SlackError as error:
            self._failure = error
            self._failed_at = self._clock()
            raise
        self._failure = None
        self.remember(installation)
        return installation
