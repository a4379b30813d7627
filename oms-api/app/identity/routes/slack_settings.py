"""Routes by which a bot follows the Slack settings of its tenant."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from app.http.body import json_body
from app.http.dependencies import ReadersDep
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import require_permission
from app.identity.dependencies.change_requests import ChangeRequestsDep
from app.identity.queries.tenants import get_tenant
from app.identity.rules.access import Caller, Operation
from app.identity.schemas.slack_settings import SlackGroupsIn, SlackGroupsOut, SlackSettingsOut
from app.identity.schemas.users import SlackStatusIn, SlackStatusOut
from app.identity.service import users
from app.identity.service.slack_groups import apply_groups
from app.identity.service.tenants import serialize_slack_settings

SetSlackStatusCaller = Annotated[Caller, Depends(require_permission(Operation.SET_SLACK_STATUS))]
FollowSlackCaller = Annotated[Caller, Depends(require_permission(Operation.FOLLOW_SLACK))]
router = APIRouter(tags=["tenants"])
_EXAMPLE = {"team_id": "T012AB3C4", "groups": {"S0TRADERS01": ["U012AB3C4"]}}
SlackStatusBody = Annotated[
    SlackStatusIn, Depends(json_body(SlackStatusIn, {"person": "slack:T1:U1", "status": "deactivated"}))
]


@router.get(
    "/slack-settings", summary="Get the settings of the bot", **document_responses(200, SlackSettingsOut)
)
async def get_slack_settings(caller: FollowSlackCaller, readers: ReadersDep) -> Response:
    """Get the channels for trading and the roles of user groups, which the bot enforces.

    Administrators set them with `PATCH /tenants/{slug}`.
    """
    tenant = await readers.run(lambda connection: get_tenant(connection, caller.tenant_id))
    return build_json_response(serialize_slack_settings(tenant))


@router.put(
    "/slack-groups", summary="Set roles from user groups", **document_responses(200, SlackGroupsOut, 409)
)
async def set_slack_groups(
    caller: FollowSlackCaller, body: Annotated[SlackGroupsIn, Depends(json_body(SlackGroupsIn, _EXAMPLE))],
    change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Set the members of the user groups that have a role in `slack_group_roles`.

    Each member gets the role viewer or trader, and becomes a user if necessary. People of the workspace who
    are in none of these groups get the tenant's `slack_default_role` if it is trader, else viewer. Roles
    above trader never change.
    """
    return await change_requests.execute(caller, body, apply_groups, body.team_id, body.groups)


@router.put(
    "/slack-status",
    summary="Set the workspace status of a person",
    **document_responses(200, SlackStatusOut, 404, 409),
)
async def set_slack_status(
    caller: SetSlackStatusCaller, body: SlackStatusBody, change_requests: ChangeRequestsDep
) -> Response:
    """Set whether Slack has deactivated a person's account.

    Within one second, requests by and on behalf of a deactivated person are refused. A user whom an
    administrator has disabled stays disabled.
    """
    return await change_requests.execute(caller, body, users.set_slack_status, body.person, body.status)
