"""Claim the operator's workspace for the tenant of the bot's API key, at start."""

import logging

from app.errors import OmsError, OmsForbidden, OmsRejected, SlackError
from app.services.dependencies import Services

log = logging.getLogger(__name__)


def run_workspace_claim(services: Services) -> None:
    """Claim the workspace. Retry until Slack and the OMS respond or the bot stops."""
    while not services.stopping.is_set():
        try:
            team_id = services.slack.installation.get().team_id
            services.oms.claim_workspace(team_id)
        except (OmsForbidden, OmsRejected) as error:
            log.warning("Workspace not claimed", extra={"team": team_id, "fault": str(error)})
            return
        except (OmsError, SlackError) as error:
            log.info("Workspace not claimed yet", extra={"fault": str(error)})
            services.stopping.wait(services.waits.claim_every)
        else:
            log.info("Workspace claimed", extra={"team": team_id})
            return
