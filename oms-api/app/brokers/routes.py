"""Routes of connections to brokers."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from app.brokers.dependencies import BrokerConnectionsDep, BrokerFactoryDep, BrokerLogInsDep
from app.brokers.schemas import (
    BrokerLogInOut,
    BrokerSessionIn,
    BrokerSessionOut,
    ConnectionCheckOut,
    ConnectionIn,
    ConnectionOut,
    ConnectionPatch,
)
from app.brokers.service.account_checks import check_connection, check_ownership
from app.brokers.service.connections import (
    get_connection,
    get_serialized_connection,
    list_serialized_connections,
)
from app.http.body import json_body
from app.http.dependencies import ClockDep, ReadersDep
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies import require_permission
from app.identity.routes.change_requests import ChangeRequestsDep
from app.identity.rules.access import Caller, Operation
from app.timestamps import format_optional_timestamp

router = APIRouter(prefix="/broker-connections", tags=["brokers"])
sessions_router = APIRouter(prefix="/brokers", tags=["brokers"])

ConnectionReader = Annotated[Caller, Depends(require_permission(Operation.READ_BROKERS))]
ConnectionManager = Annotated[Caller, Depends(require_permission(Operation.MANAGE_BROKERS))]
LiveTradingEnabler = Annotated[Caller, Depends(require_permission(Operation.ENABLE_LIVE))]
BrokerOperator = Annotated[Caller, Depends(require_permission(Operation.LOG_IN_BROKER))]
ConnectionNamePath = Annotated[str, Path(max_length=60, description="Name of the connection")]
_EXAMPLE = {
    "name": "alpaca-paper",
    "broker": "alpaca",
    "credentials": {"key_id": "PK0123456789", "secret_key": "your-secret"},
}
_PATCH_EXAMPLE = {"credentials": {"key_id": "PK9876543210", "secret_key": "your-new-secret"}}
_SESSION_EXAMPLE = {"request_token": "your-request-token"}


@router.post("", summary="Create a broker connection", **document_responses(201, ConnectionOut, 409))
async def create_connection(
    caller: ConnectionManager, body: Annotated[ConnectionIn, Depends(json_body(ConnectionIn, _EXAMPLE))],
    connections: BrokerConnectionsDep, change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Store the credentials for an account at a broker. They are encrypted and never shown again."""
    return await change_requests.execute(caller, body, connections.create, body.to_parameters())


@router.get("", summary="List broker connections", **document_responses(200, list[ConnectionOut]))
async def list_connections(caller: ConnectionReader, readers: ReadersDep, clock: ClockDep) -> Response:
    """List the connections of the tenant by name, with their status."""
    tenant_id, now = caller.tenant_id, clock()
    return build_json_response(await readers.read(tenant_id, list_serialized_connections, now))


@router.get(
    "/{connection_name}", summary="Get a broker connection", **document_responses(200, ConnectionOut, 404)
)
async def get_one_connection(
    caller: ConnectionReader, connection_name: ConnectionNamePath, readers: ReadersDep, clock: ClockDep
) -> Response:
    """Get one connection with its status."""
    tenant_id, now = caller.tenant_id, clock()
    return build_json_response(await readers.read(tenant_id, get_serialized_connection, connection_name, now))


@router.patch(
    "/{connection_name}",
    summary="Update a broker connection",
    **document_responses(200, ConnectionOut, 404, 409),
)
async def update_connection(
    caller: ConnectionManager, connection_name: ConnectionNamePath,
    body: Annotated[ConnectionPatch, Depends(json_body(ConnectionPatch, _PATCH_EXAMPLE))],
    connections: BrokerConnectionsDep, change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Change the account, the address or the credentials. Live trading must then be enabled again."""
    return await change_requests.execute(caller, body, connections.update, connection_name, body.to_changes())


@router.delete(
    "/{connection_name}", summary="Delete a broker connection", **document_responses(204, {}, 404, 409)
)
async def delete_connection(
    caller: ConnectionManager, connection_name: ConnectionNamePath, connections: BrokerConnectionsDep,
    change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Delete a connection that no portfolio trades over, with its credentials."""
    return await change_requests.execute(caller, None, connections.delete, connection_name)


@router.post(
    "/{connection_name}:test",
    summary="Test a broker connection",
    **document_responses(200, ConnectionCheckOut, 404),
)
async def test_connection(
    caller: ConnectionManager, connection_name: ConnectionNamePath, connections: BrokerConnectionsDep,
    create_broker: BrokerFactoryDep, readers: ReadersDep,
) -> Response:  # fmt: skip
    """Log in at the broker and read the account. Nothing is traded."""
    tenant_id = caller.tenant_id
    stored = await readers.read(tenant_id, get_connection, connection_name)
    check = await asyncio.to_thread(
        check_connection, stored, connections.keys, connections.policy, create_broker
    )
    check = await readers.run(lambda connection: check_ownership(connection, stored, check), tenant_id)
    return build_json_response(
        {
            "ok": check.is_ok,
            "account": check.account,
            "paper": check.is_paper,
            "latency_ms": check.latency_ms,
            "error": check.error,
        }
    )


@router.post(
    "/{connection_name}:enable-live",
    summary="Enable live trading of a broker connection",
    **document_responses(200, ConnectionOut, 404, 409, 413, 415),
)
async def enable_live(
    caller: LiveTradingEnabler, connection_name: ConnectionNamePath, connections: BrokerConnectionsDep,
    change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Allow orders to a live account.

    The request must come from an administrator who did not create the connection. The tenant must have a risk
    limit (`PUT /limits`).
    """
    return await change_requests.execute(caller, None, connections.enable_live, connection_name)


@sessions_router.get(
    "/{connection_name}/session",
    summary="Get the login page of a broker connection",
    **document_responses(200, BrokerLogInOut, 404, 409),
)
async def get_log_in(
    caller: BrokerOperator, connection_name: ConnectionNamePath, log_ins: BrokerLogInsDep, readers: ReadersDep
) -> Response:
    """Get the address of the page where a person logs in, and when the current session ends."""
    tenant_id = caller.tenant_id
    stored = await readers.read(tenant_id, get_connection, connection_name)
    expires_at = stored.session_expires_at
    return build_json_response(
        {
            "login_url": log_ins.open_log_in(stored).address,
            "expires_at": format_optional_timestamp(expires_at),
        }
    )


@sessions_router.post(
    "/{connection_name}/session",
    summary="Create the daily session of a broker connection",
    **document_responses(200, BrokerSessionOut, 404, 409),
)
async def create_session(
    caller: BrokerOperator, connection_name: ConnectionNamePath,
    body: Annotated[BrokerSessionIn, Depends(json_body(BrokerSessionIn, _SESSION_EXAMPLE))],
    log_ins: BrokerLogInsDep, readers: ReadersDep, change_requests: ChangeRequestsDep,
) -> Response:  # fmt: skip
    """Exchange the request token of a login for today's session, and connect with it."""
    tenant_id = caller.tenant_id
    stored = await readers.read(tenant_id, get_connection, connection_name)
    token = await asyncio.to_thread(log_ins.fetch_token, stored, body.request_token)
    return await change_requests.execute(caller, body, log_ins.store, connection_name, token)
