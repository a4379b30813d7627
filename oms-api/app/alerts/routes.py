"""Routes of alerts."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection

from app.alerts import queries
from app.alerts.dependencies import PriceAlertsDep
from app.alerts.rules.conditions import Alert
from app.alerts.schemas import EXAMPLE, AlertIn, AlertOut, serialize_alert
from app.alerts.service.alerts import AlertTerms, create_alert, delete_alert
from app.identity.dependencies import require_permission
from app.identity.routes.change_requests import ChangeExecutorDep, ChangeRequestsDep, build_response
from app.identity.rules.access import Caller, Operation
from app.identity.service.change_executor import ChangeResult
from app.wire.body import documented_body, json_body
from app.wire.dependencies import ChangesDep, CursorsDep, ReadersDep
from app.wire.fields import SearchText
from app.wire.lists import Cursor, Limit, build_link_header
from app.wire.pages import DEFAULT_LIMIT
from app.wire.responses import NEXT_HEADER, REPLAYED_HEADER, build_json_response, document_responses

router = APIRouter(prefix="/alerts", tags=["alerts"])

Owner = Annotated[Caller, Depends(require_permission(Operation.MANAGE_OWN))]
_LIST = "alerts"


class AlertQuery(BaseModel):
    """A page of the alerts."""

    model_config = ConfigDict(extra="forbid")

    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


@router.post(
    "",
    summary="Create an alert",
    status_code=201,
    responses=document_responses(201, {"model": AlertOut}, 409, 413, 415, headers=REPLAYED_HEADER),
    openapi_extra=documented_body(AlertIn, EXAMPLE),
)
async def post_alert(
    caller: Owner, body: Annotated[AlertIn, Depends(json_body(AlertIn))],
    change_executor: ChangeExecutorDep, change_requests: ChangeRequestsDep, price_alerts: PriceAlertsDep,
) -> Response:  # fmt: skip
    """Create an alert. If its condition is already true, it fires at once."""
    terms = AlertTerms(
        body.kind,
        body.symbol,
        body.portfolio_name,
        body.direction,
        body.threshold,
        body.repeat,
        body.deliver_to,
    )
    request, created = change_requests.build(caller, body), list[Alert]()

    def create(connection: Connection, now: datetime) -> ChangeResult:
        listed_alert = create_alert(connection, caller, terms, now)
        created[:] = [listed_alert.alert]
        return ChangeResult(serialize_alert(listed_alert), [], 201)

    result = await change_executor.execute(request, create)
    for alert in created:
        price_alerts.add(alert)
    return build_response(result)


@router.get(
    "",
    summary="List your alerts",
    responses=document_responses(200, {"model": list[AlertOut]}, headers=NEXT_HEADER),
)
async def list_alerts(
    caller: Owner, query: Annotated[AlertQuery, Query()], readers: ReadersDep, cursors: CursorsDep,
    request: Request,
) -> Response:  # fmt: skip
    """List the alerts of the person in `X-On-Behalf-Of`, or of the API key, newest first.

    Alerts of portfolios that the caller may not see are left out.
    """
    tenant_id = caller.tenant_id
    before = cursors.read(tenant_id, _LIST, query.cursor) if query.cursor else None
    listed_alerts = await readers.run(
        lambda connection: queries.list_alerts(connection, caller, query.limit + 1, before), tenant_id
    )
    page = listed_alerts[: query.limit]
    cursor = cursors.make(tenant_id, _LIST, page[-1].alert.id) if len(listed_alerts) > query.limit else None
    return build_json_response(list(map(serialize_alert, page)), headers=build_link_header(request, cursor))


@router.delete(
    "/{alert_id}",
    summary="Delete an alert",
    status_code=204,
    response_class=Response,
    responses=document_responses(204, {"description": "Deleted"}, 404),
)
async def remove_alert(
    caller: Owner, alert_id: Annotated[SearchText, Path(max_length=32)], changes: ChangesDep
) -> Response:
    """Delete an alert. It no longer fires."""
    await changes.run(lambda connection: delete_alert(connection, caller, alert_id), caller.tenant_id)
    return Response(status_code=204)
