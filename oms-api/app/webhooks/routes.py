"""Routes of webhooks and their deliveries."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from sqlalchemy import Connection

from app.events.dependencies import FeedDep
from app.http.body import json_body
from app.http.dependencies import ReadersDep
from app.http.lists import build_link_header
from app.http.paths import ID_CONVERTOR
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import require_permission
from app.identity.dependencies.change_requests import ChangeRequestsDep
from app.identity.rules.access import Caller, Operation
from app.webhooks.dependencies import WebhookDeliveriesDep, WebhooksDep
from app.webhooks.queries.webhooks import list_webhooks as read_webhooks
from app.webhooks.schemas import (
    DeliveriesOut,
    DeliveryOut,
    DeliveryQuery,
    SecretRotationIn,
    WebhookIn,
    WebhookMadeOut,
    WebhookName,
    WebhookOut,
    WebhookPatch,
)
from app.webhooks.service.webhooks import get_owner, get_webhook, serialize_webhook

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

ManageWebhooksCaller = Annotated[Caller, Depends(require_permission(Operation.MANAGE_WEBHOOKS))]
WebhookIdPath = Annotated[str, Path(max_length=40, description="ID of the webhook")]
DeliveryIdPath = Annotated[str, Path(max_length=60, description="ID of the delivery")]
SecretRotationBody = Annotated[
    SecretRotationIn, Depends(json_body(SecretRotationIn, {"overlap_seconds": 3600}, is_required=False))
]
_WEBHOOK_PATH = f"/{{webhook_id:{ID_CONVERTOR}}}"
_WEBHOOK_EXAMPLE = {
    "url": "https://hooks.example.com/oms",
    "event_types": ["order.filled", "trade.*"],
    "description": "Risk",
}
WebhookPatchBody = Annotated[WebhookPatch, Depends(json_body(WebhookPatch, {"event_types": ["order.*"]}))]


@router.post("", summary="Create a webhook", **document_responses(201, WebhookMadeOut, 409))
async def create_webhook(
    caller: ManageWebhooksCaller, body: Annotated[WebhookIn, Depends(json_body(WebhookIn, _WEBHOOK_EXAMPLE))],
    webhooks: WebhooksDep, change_requests: ChangeRequestsDep, feed: FeedDep,
) -> Response:  # fmt: skip
    """Create an endpoint that receives the tenant's later events, signed as Standard Webhooks specifies.

    The secret is shown once.
    """
    webhooks.check_url(body.url)
    cursor = await feed.get_horizon(caller.tenant_id)
    return await change_requests.execute(caller, body, webhooks.create, body.to_parameters(), cursor)


@router.put(
    "/by-name/{webhook_name}",
    summary="Create or replace a webhook by name",
    **document_responses(200, WebhookOut, 404, 409, other={201: WebhookMadeOut}),
)
async def put_webhook(
    caller: ManageWebhooksCaller,
    webhook_name: Annotated[WebhookName, Path(description="Your name of the webhook")],
    body: Annotated[WebhookIn, Depends(json_body(WebhookIn, _WEBHOOK_EXAMPLE))], webhooks: WebhooksDep,
    change_requests: ChangeRequestsDep, feed: FeedDep,
) -> Response:  # fmt: skip
    """Create the webhook of this name, or update and enable it.

    Use this in programs that register at each start.
    Only the response that creates the webhook contains the secret. If you lose the secret, rotate it. Pending
    deliveries are sent at once.
    """
    webhooks.check_url(body.url)
    arguments = (webhook_name, body.to_parameters(), await feed.get_horizon(caller.tenant_id))
    return await change_requests.execute(caller, body, webhooks.put_by_name, *arguments)


@router.get("", summary="List webhooks", **document_responses(200, list[WebhookOut]))
async def list_webhooks(caller: ManageWebhooksCaller, readers: ReadersDep) -> Response:
    """List the webhooks of the tenant, oldest first. A key with the scope `bot` sees its own."""
    owner, tenant_id = get_owner(caller), caller.tenant_id
    stored_webhooks = await readers.read(tenant_id, read_webhooks, owner)
    return build_json_response([serialize_webhook(webhook) for webhook in stored_webhooks])


@router.get(_WEBHOOK_PATH, summary="Get a webhook", **document_responses(200, WebhookOut, 404))
async def get_one_webhook(
    caller: ManageWebhooksCaller, webhook_id: WebhookIdPath, readers: ReadersDep
) -> Response:
    """Get one webhook, without its secret."""
    stored_webhook = await readers.run(
        lambda connection: get_webhook(connection, caller, webhook_id), caller.tenant_id
    )
    return build_json_response(serialize_webhook(stored_webhook))


@router.patch(_WEBHOOK_PATH, summary="Update a webhook", **document_responses(200, WebhookOut, 404, 409))
async def change_webhook(
    caller: ManageWebhooksCaller, webhook_id: WebhookIdPath, body: WebhookPatchBody, webhooks: WebhooksDep,
    change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Change the URL, the event types or the description. Pending deliveries are sent to the new URL."""
    changes = body.to_changes()
    webhooks.check_url(changes.get("url"))
    return await change_requests.execute(caller, body, webhooks.change, webhook_id, changes)


@router.delete(_WEBHOOK_PATH, summary="Delete a webhook", **document_responses(204, {}, 404, 409))
async def delete_webhook(
    caller: ManageWebhooksCaller,
    webhook_id: WebhookIdPath,
    webhooks: WebhooksDep,
    change_requests: ChangeRequestsDep,
) -> Response:
    """Delete a webhook and its deliveries."""
    return await change_requests.execute(caller, None, webhooks.delete, webhook_id)


@router.post(
    "/{webhook_id}:rotate",
    summary="Rotate the secret of a webhook",
    **document_responses(201, WebhookMadeOut, 404, 409),
)
async def rotate_secret(
    caller: ManageWebhooksCaller, webhook_id: WebhookIdPath, body: SecretRotationBody, webhooks: WebhooksDep,
    change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Replace the secret by a new one, which is shown once.

    During the overlap both secrets sign each delivery.
    """
    return await change_requests.execute(caller, body, webhooks.rotate, webhook_id, body.overlap_seconds)


@router.post(
    "/{webhook_id}:enable", summary="Enable a webhook", **document_responses(200, WebhookOut, 404, 409)
)
async def enable_webhook(
    caller: ManageWebhooksCaller, webhook_id: WebhookIdPath, webhooks: WebhooksDep,
    change_requests: ChangeRequestsDep, feed: FeedDep,
) -> Response:  # fmt: skip
    """Enable a disabled webhook. It receives its pending deliveries and all later events.

    List the events that occurred while it was disabled with `GET /events`.
    """
    cursor = await feed.get_horizon(caller.tenant_id)
    return await change_requests.execute(caller, None, webhooks.enable, webhook_id, cursor)


@router.post("/{webhook_id}:test", summary="Test a webhook", **document_responses(202, DeliveryOut, 404, 409))
async def test_webhook(
    caller: ManageWebhooksCaller,
    webhook_id: WebhookIdPath,
    deliveries: WebhookDeliveriesDep,
    change_requests: ChangeRequestsDep,
) -> Response:
    """Send an event `webhook.test` to this webhook. Read the result in the list of deliveries."""
    return await change_requests.execute(caller, None, deliveries.send_test, webhook_id)


@router.get(
    f"{_WEBHOOK_PATH}/deliveries",
    summary="List the deliveries of a webhook",
    **document_responses(200, DeliveriesOut, 404),
)
async def list_deliveries(
    caller: ManageWebhooksCaller, webhook_id: WebhookIdPath, query: Annotated[DeliveryQuery, Query()],
    readers: ReadersDep, deliveries: WebhookDeliveriesDep, request: Request,
) -> Response:  # fmt: skip
    """List deliveries with their attempts, newest first. Completed deliveries are kept for seven days."""

    def read(connection: Connection) -> tuple[list[dict[str, Any]], str | None]:
        return deliveries.list_page(connection, caller, webhook_id, query.cursor, query.limit)

    page, cursor = await readers.run(read, caller.tenant_id)
    return build_json_response({"items": page}, headers=build_link_header(request, cursor))


@router.post(
    "/{webhook_id}/deliveries/{delivery_id}:resend",
    summary="Resend a delivery",
    **document_responses(202, DeliveryOut, 404, 409),
)
async def resend_delivery(
    caller: ManageWebhooksCaller, webhook_id: WebhookIdPath, delivery_id: DeliveryIdPath,
    deliveries: WebhookDeliveriesDep, change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Send the event of a delivery again as a new delivery. The event keeps its ID."""
    return await change_requests.execute(caller, None, deliveries.resend, webhook_id, delivery_id)
