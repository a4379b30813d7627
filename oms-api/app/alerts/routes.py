"""Routes of alerts."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from sqlalchemy import Connection

from app.alerts import queries
from app.alerts.dependencies import PriceAlertWatcherDep
from app.alerts.rules.conditions import Alert
from app.alerts.schemas import EXAMPLE, AlertIn, AlertOut, serialize_alert
from app.alerts.service.alerts import AlertTerms, create_alert, delete_alert
from app.http.body import json_body
from app.http.dependencies import ChangesDep, ReadersDep
from app.http.fields import SearchText
from app.http.list_pages import PagesDep
from app.http.lists import PageQuery
from app.http.responses import document_responses
from app.identity.dependencies.authentication import require_permission
from app.identity.dependencies.change_requests import ChangeRequestsDep
from app.identity.rules.access import Caller, Operation
from app.identity.service.change_executor import ChangeRequest, ChangeResult

router = APIRouter(prefix="/alerts", tags=["alerts"])

ManageOwnCaller = Annotated[Caller, Depends(require_permission(Operation.MANAGE_OWN))]
_LIST = "alerts"


@router.post("", summary="Create an alert", **document_responses(201, AlertOut, 409))
async def post_alert(
    caller: ManageOwnCaller, body: Annotated[AlertIn, Depends(json_body(AlertIn, EXAMPLE))],
    change_requests: ChangeRequestsDep, price_alert_watcher: PriceAlertWatcherDep,
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
    created_alerts = list[Alert]()

    def create(connection: Connection, _: ChangeRequest, now: datetime) -> ChangeResult:
        listed_alert = create_alert(connection, caller, terms, now)
        created_alerts[:] = [listed_alert.alert]
        return ChangeResult(serialize_alert(listed_alert), [], 201)

    response = await change_requests.execute(caller, body, create)
    for alert in created_alerts:
        price_alert_watcher.add(alert)
    return response


@router.get("", summary="List your alerts", **document_responses(200, list[AlertOut]))
async def list_alerts(
    caller: ManageOwnCaller, query: Annotated[PageQuery, Query()], readers: ReadersDep, pages: PagesDep
) -> Response:
    """List the alerts of the person in `X-On-Behalf-Of`, or of the API key, newest first.

    Alerts of portfolios that the caller may not see are left out.
    """
    page = pages.open(caller.tenant_id, _LIST, query)
    alerts = await readers.run(
        lambda connection: queries.list_alerts(connection, caller, page.count, page.start), caller.tenant_id
    )
    return page.build_response(alerts, serialize_alert, lambda last: last.alert.id)


@router.delete("/{alert_id}", summary="Delete an alert", **document_responses(204, "Deleted", 404))
async def remove_alert(
    caller: ManageOwnCaller, alert_id: Annotated[SearchText, Path(max_length=32)], changes: ChangesDep
) -> Response:
    """Delete an alert. It no longer fires."""
    await changes.run(lambda connection: delete_alert(connection, caller, alert_id), caller.tenant_id)
    return Response(status_code=204)
