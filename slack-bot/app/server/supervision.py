"""Background work: this bot's sign of life, and the threads of each workspace."""

import logging
import threading
from collections.abc import Callable, Sequence

from app.errors import SlackError
from app.events.receiver import run_registration
from app.oms_client.event_api import EventApi
from app.server.workspaces import Workspace, WorkspaceRegistry
from app.services.dependencies import Services
from app.services.notifications.delivery import run_notifications
from app.services.orders.recovery import run_order_refresh
from app.services.settings.slack_settings import run_group_sync
from app.services.settings.slack_statuses import run_status_sync
from app.services.settings.workspace_claim import run_workspace_claim
from app.services.state.overview_viewers import MAX_IDLE_SECONDS
from app.services.trades.confirmation_recovery import run_recovery
from app.storage.bot_registry import BEAT_SECONDS
from app.storage.claimed_ids import ClaimedIds
from app.storage.database import DatabaseError
from app.storage.encryption import DecryptionFailed
from app.storage.installations import InstalledWorkspace

log = logging.getLogger(__name__)

SUPERVISION_SECONDS = 2.0
CLEANING_BEATS = 1200  # about an hour


def run_heartbeat(services: Services) -> None:
    """Record that this bot is alive until it stops. Remove old records now and then."""
    beats = 0
    while not services.stopping.wait(BEAT_SECONDS):
        services.storage.bots.beat()
        beats += 1
        if beats % CLEANING_BEATS == 0:
            services.storage.bots.remove_dead()
            ClaimedIds(services.storage).remove_old()
            services.stored_viewers.remove_idle(services.now().timestamp() - MAX_IDLE_SECONDS)


def run_supervision(workspaces: WorkspaceRegistry, services: Services) -> None:
    """Store the workspace of the environment, and start the threads of each connected workspace."""
    started: list[Workspace] = []
    is_first_stored = workspaces.first is None
    while not services.stopping.is_set():
        try:
            is_first_stored = is_first_stored or store_first(workspaces)
            started = start_new(workspaces.list_connected(), started)
        except Exception:  # one failure must not end the thread
            log.exception("Workspaces not supervised")
        services.stopping.wait(SUPERVISION_SECONDS)


def start_new(connected: Sequence[Workspace], started: Sequence[Workspace]) -> list[Workspace]:
    """Start the threads of workspaces that have none. They end when the services of a workspace stop."""
    for workspace in connected:
        if not any(workspace is other for other in started):
            start_threads(workspace)
    return list(connected)


def start_threads(workspace: Workspace) -> None:
    """Start the background work of a workspace."""
    services, settings = workspace.services, workspace.settings
    _start_thread("confirmation-recovery", lambda: run_recovery(services))
    _start_thread("order-refresh", lambda: run_order_refresh(services))
    _start_thread("notifications", lambda: run_notifications(services))
    _start_thread("group-sync", lambda: run_group_sync(services))
    _start_thread("status-sync", lambda: run_status_sync(services))
    if services.oms.can_claim_workspace:
        _start_thread("workspace-claim", lambda: run_workspace_claim(services))
    if settings.oms_events_url:
        api = EventApi(settings)
        url = settings.oms_events_url
        _start_thread("event-registration", lambda: run_registration(workspace.receiver, services, api, url))


def store_first(workspaces: WorkspaceRegistry) -> bool:
    """Store the workspace whose token is in the environment. Return whether it is stored."""
    first = workspaces.first
    if first is None:
        return True
    services, settings = first.services, first.settings
    try:
        installed = services.slack.installation.get()
        if installed.is_org_wide:
            return True  # every request is refused
        services.installations.save_environment(
            InstalledWorkspace(
                team=installed.team_id,
                enterprise=installed.enterprise_id,
                name=installed.name,
                bot_token=settings.slack_bot_token,
                oms_key=settings.oms_api_key,
                scopes=installed.scopes,
                installed_at=float(int(services.now().timestamp())),
            )
        )
    except (SlackError, DatabaseError, DecryptionFailed) as error:
        log.info("Workspace not stored yet", extra={"fault": str(error)})
        return False
    return True


def _start_thread(name: str, target: Callable[[], None]) -> None:
    threading.Thread(target=target, name=name, daemon=True).start()
