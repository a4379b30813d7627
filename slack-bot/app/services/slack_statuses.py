"""Report people whom Slack deactivated to the OMS, so that they lose access at once."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from app.errors import NotAllowed, OmsError, Refused
from app.oms_client import Person
from app.request_priority import run_outside
from app.services.dependencies import Services

log = logging.getLogger(__name__)

MAX_ENTRIES = 10_000
ATTEMPTS = 60


class ReportedStatuses:
    """The status that was last reported of each person. Slack sends an event for each change of a profile."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._statuses: OrderedDict[str, str] = OrderedDict()

    def is_reported(self, user: str, status: str) -> bool:
        """Return whether the status of a person is the last one that was reported."""
        with self._lock:
            return self._statuses.get(user) == status

    def record(self, user: str, status: str) -> None:
        """Store a status that was reported."""
        with self._lock:
            self._statuses[user] = status
            self._statuses.move_to_end(user)
            while len(self._statuses) > MAX_ENTRIES:
                self._statuses.popitem(last=False)


def report_status(
    services: Services, reported: ReportedStatuses, profile: Mapping[str, Any], request_id: str
) -> None:
    """Report the status of a person of the workspace. Retry until the OMS answers or the bot stops."""
    user, status = str(profile.get("id", "")), "deactivated" if profile.get("deleted") is True else "active"
    if profile.get("team_id") != services.team or reported.is_reported(user, status):
        return
    try:
        person = Person(services.team, user)
    except ValueError:
        return
    extra = {"request_id": request_id, "person": person.actor, "status": status}
    for _ in range(ATTEMPTS):
        try:
            services.oms.set_slack_status(person, status)
        except (NotAllowed, Refused) as error:  # such as a person who never used the bot
            log.info("Slack status refused", extra=extra | {"fault": str(error)})
            return
        except OmsError as error:
            log.warning("Slack status not reported yet", extra=extra | {"fault": str(error)})
        else:
            reported.record(user, status)
            log.info("Slack status reported", extra=extra)
            return
        with run_outside():
            is_stopping = services.stopping.wait(services.waits.lookup_every)
        if is_stopping:
            return
    log.error("Slack status not reported", extra=extra)
