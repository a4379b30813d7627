"""At start, the operator's bot claims its workspace for the tenant of its key."""

import logging

from app.errors import NotAllowed, OmsError, Refused, SlackError
from app.replies.desk import Desk

log = logging.getLogger(__name__)


def run_workspace_claim(desk: Desk) -> None:
    """Claim the workspace; try again while Slack or the OMS does not answer, until the bot stops."""
    while not desk.stopping.is_set():
        try:
            team_id = desk.slack.installation.get().team_id
            desk.oms.claim_workspace(team_id)
        except (NotAllowed, Refused) as error:
            log.warning("Workspace not claimed", extra={"team": team_id, "fault": str(error)})
            return
        except (OmsError, SlackError) as error:
            log.info("Workspace not claimed yet", extra={"fault": str(error)})
            desk.stopping.wait(desk.waits.claim_every)
        else:
            log.info("Workspace claimed", extra={"team": team_id})
            return
