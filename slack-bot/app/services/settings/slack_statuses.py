"""Report to the OMS whom Slack deactivated, so that they lose access at once, and who is active again."""

import logging
from collections.abc import Mapping
from typing import Any

from app.errors import OmsError, OmsForbidden, OmsRejected, SlackError, SlackRateLimited
from app.oms_client import Person
from app.request_priority import run_outside
from app.services.dependencies import Services

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 60
SYNC_SECONDS = 3600.0
DEACTIVATED = "deactivated"


def run_status_sync(services: Services) -> None:
    """Report whose status changed while the bot was down, and every hour in case an event is lost."""
    while not services.stopping.is_set():
        wait = SYNC_SECONDS
        try:
            report_changes(services)
        except SlackRateLimited as limit:
            wait = limit.retry_after_seconds
        except (OmsError, SlackError) as error:
            log.info("Slack statuses not reported yet", extra={"fault": str(error)})
            wait = services.waits.register_again
        except Exception:  # one failure must not end the thread
            log.exception("Slack statuses not reported")
        services.stopping.wait(wait)


def report_changes(services: Services) -> None:
    """Report every deactivated person of the workspace, and those who were reported and are active again.

    Raises `OmsError` or `SlackError`.
    """
    services.slack.installation.get()
    locked_out = services.reported_statuses.list_members(DEACTIVATED)
    cursor = ""
    while True:
        members, cursor = services.slack.list_members(cursor)
        for member in members:
            is_changed = member.get("deleted") is True or str(member.get("id", "")) in locked_out
            if is_changed and not member.get("is_bot") and not services.stopping.is_set():
                report_status(services, member, "status-sync")
        if not cursor or services.stopping.is_set():
            return


def report_status(services: Services, profile: Mapping[str, Any], request_id: str) -> None:
    """Report the status of a person of the workspace. Retry until the OMS responds or the bot stops."""
    user = str(profile.get("id", ""))
    status = DEACTIVATED if profile.get("deleted") is True else "active"
    if profile.get("team_id") != services.team or services.reported_statuses.is_reported(user, status):
        return
    try:
        person = Person(services.team, user)
    except ValueError:
        return
    extra = {"request_id": request_id, "person": person.actor, "status": status}
    for _ in range(MAX_ATTEMPTS):
        try:
            services.oms.set_slack_status(person, status)
        except (OmsForbidden, OmsRejected) as error:  # such as a person who never used the bot
            log.info("Slack status refused", extra=extra | {"fault": str(error)})
            return
        except OmsError as error:
            log.warning("Slack status not reported yet", extra=extra | {"fault": str(error)})
        else:
            services.reported_statuses.record(user, status)
            log.info("Slack status reported", extra=extra)
            return
        with run_outside():
            is_stopping = services.stopping.wait(services.waits.lookup_every)
        if is_stopping:
            return
    log.error("Slack status not reported", extra=extra)
