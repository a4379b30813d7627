"""The workspaces that this bot serves, each with separate clients, services and handlers."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from app.config import Settings
from app.delivery.installation import Installation
from app.delivery.slack_api import SlackApi
from app.events.receiver import EventReceiver
from app.events.registry import EventRegistry
from app.events.subscriptions import register_subscriptions
from app.handlers import create_dispatcher
from app.handlers.dispatcher import RequestDispatcher
from app.oms_client import OmsClient
from app.services.dependencies import Services
from app.storage.database import DatabaseError
from app.storage.encryption import DecryptionFailed
from app.storage.installations import InstalledWorkspace

log = logging.getLogger(__name__)

CHECK_INTERVAL_SECONDS = 2.0  # how long a bot may use an installation that another bot has changed
STOP_TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Workspace:
    """A workspace and the part of the bot that serves it.

    `is_connected`: the workspace has an OMS key. Without one, the bot only helps.
    """

    settings: Settings
    services: Services
    dispatcher: RequestDispatcher
    receiver: EventReceiver
    is_connected: bool = True


@dataclass
class _Entry:
    version: tuple[int, float] | None
    workspace: Workspace | None
    checked_at: float


class WorkspaceRegistry:
    """Find the workspace of a request. Every bot applies changes of the store within two seconds."""

    def __init__(
        self,
        settings: Settings,
        base: Services,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Use `base` for the workspace whose token is in the environment, if there is one."""
        self._settings = settings
        self._base = base
        self._clock = clock
        self._store = base.installations
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()
        self.first = self._create_workspace(settings, base) if settings.slack_bot_token else None

    def find(self, team: str) -> Workspace | None:
        """Return the workspace, None if the app is not installed in it."""
        installed_first = self.first is not None and self.first.services.team == team
        entry = self._entries.get(team)
        if entry is None or self._clock() >= entry.checked_at + CHECK_INTERVAL_SECONDS:
            with self._lock:
                entry = self._refresh_entry(team, is_first=installed_first)
        return entry.workspace

    def list_connected(self) -> list[Workspace]:
        """Return the workspaces that have a bot token and an OMS key, without the environment's workspace."""
        try:
            teams = self._store.list_active_teams()
        except DatabaseError as error:
            log.warning("Workspaces not listed", extra={"fault": str(error)})
            teams = list(self._entries)
        workspaces = [self.find(team) for team in teams]
        return [
            workspace
            for workspace in workspaces
            if workspace is not None and workspace.is_connected and workspace is not self.first
        ]

    def list_all(self) -> list[Workspace]:
        """Return the workspaces that this bot has served."""
        workspaces = [entry.workspace for entry in list(self._entries.values())]
        other_workspaces = [
            workspace for workspace in workspaces if workspace is not None and workspace is not self.first
        ]
        return ([self.first] if self.first else []) + other_workspaces

    def _refresh_entry(self, team: str, *, is_first: bool) -> _Entry:
        """Compare the cached workspace with the store. If the database fails, the cached one counts."""
        entry = self._entries.get(team)
        fallback = entry.workspace if entry else self.first if is_first else None
        try:
            version = self._store.find_version(team)
            if entry is not None and entry.version == version:
                entry.checked_at = self._clock()
                return entry
            workspace = self._load_workspace(team, is_first=is_first)
        except (DatabaseError, DecryptionFailed) as error:
            log.warning("Workspace not loaded", extra={"team": team, "fault": str(error)})
            return _Entry(None, fallback, self._clock())
        self._stop_services(entry)
        current = _Entry(version, workspace, self._clock())
        if workspace is None:
            self._entries.pop(team, None)
        else:
            self._entries[team] = current
        return current

    def _load_workspace(self, team: str, *, is_first: bool) -> Workspace | None:
        installed = self._store.find(team)
        if is_first:
            return None if installed is not None and not installed.is_active else self.first
        if installed is None or not installed.is_active:
            return None
        return self._create_installed(installed)

    def _create_installed(self, installed: InstalledWorkspace) -> Workspace:
        settings = replace(
            self._settings,
            slack_bot_token=installed.bot_token,
            oms_api_key=installed.oms_key,
            trading_channel="",
            approvals_channel="",
        )
        slack = SlackApi(settings)
        slack.installation.remember(
            Installation(installed.team, installed.enterprise, name=installed.name, scopes=installed.scopes)
        )
        slack.scopes.set_granted(installed.scopes)
        oms = OmsClient(settings, get_team=lambda: installed.team)
        services = self._base.create_for_workspace(oms, slack)
        return self._create_workspace(settings, services)

    def _create_workspace(self, settings: Settings, services: Services) -> Workspace:
        events = EventRegistry()
        register_subscriptions(events)
        return Workspace(
            settings=settings,
            services=services,
            dispatcher=create_dispatcher(services),
            receiver=EventReceiver(services, events),
            is_connected=bool(settings.oms_api_key),
        )

    def _stop_services(self, entry: _Entry | None) -> None:
        """Stop the services of a workspace that was changed or removed."""
        if entry is not None and entry.workspace is not None and entry.workspace is not self.first:
            services = entry.workspace.services
            threading.Thread(
                target=services.stop_workspace, args=(STOP_TIMEOUT_SECONDS,), daemon=True
            ).start()
