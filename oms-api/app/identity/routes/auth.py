"""Routes of authentication."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request, Response

from app.http.app_state import get_request_info
from app.http.body import json_body
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import (
    LoginServiceDep,
    SessionsDep,
    count_unauthenticated,
    require_permission,
)
from app.identity.rules.access import Caller, Operation
from app.identity.rules.clients import Client
from app.identity.schemas.auth import (
    LoginIn,
    LoginSessionOut,
    MeOut,
    PasswordIn,
    RefreshIn,
    TokensOut,
    serialize_identity,
    serialize_session,
    serialize_tokens,
)
from app.identity.service.sessions import get_session_id

router = APIRouter(prefix="/auth", tags=["sessions"])

# the caller is not authenticated yet
_FOR_ANYBODY: dict[str, Any] = {"x-operation": "anybody", "x-roles": []}
_LOGIN_EXAMPLE = {"tenant": "alpha", "email": "alice@example.com", "password": "four words of your own"}
_PASSWORD_EXAMPLE = {
    "current_password": "four words of your own",
    "new_password": "four other words of yours",
}
_REFRESH_EXAMPLE = {"refresh_token": "oms-refresh.…"}


async def _get_client(request: Request) -> Client:
    request_info = get_request_info(request)
    return Client(request_info.address, request.headers.get("user-agent", ""), request_info.request_id)


ReadSelfCaller = Annotated[Caller, Depends(require_permission(Operation.READ_SELF))]
ClientDep = Annotated[Client, Depends(_get_client)]


@router.post(
    "/login",
    summary="Log in",
    dependencies=[Depends(count_unauthenticated)],
    openapi_extra=_FOR_ANYBODY,
    **document_responses(200, TokensOut),
)
async def log_in(
    body: Annotated[LoginIn, Depends(json_body(LoginIn, _LOGIN_EXAMPLE))], login_service: LoginServiceDep,
    client: ClientDep,
) -> Response:  # fmt: skip
    """Start a session. The error is the same for a wrong tenant, e-mail address or password."""
    return build_json_response(serialize_tokens(await login_service.log_in(body.to_credentials(), client)))


@router.post(
    "/refresh",
    summary="Refresh a session",
    dependencies=[Depends(count_unauthenticated)],
    openapi_extra=_FOR_ANYBODY,
    **document_responses(200, TokensOut),
)
async def refresh(
    body: Annotated[RefreshIn, Depends(json_body(RefreshIn, _REFRESH_EXAMPLE))], sessions: SessionsDep,
    client: ClientDep,
) -> Response:  # fmt: skip
    """Exchange a refresh token, which is valid once.

    A client that lost the response may repeat the request within 10 seconds. A later repeat ends the session.
    """
    return build_json_response(serialize_tokens(await sessions.refresh(body.refresh_token, client)))


@router.post("/logout", summary="Log out", **document_responses(204, "The session has ended", 413, 415))
async def log_out(caller: ReadSelfCaller, sessions: SessionsDep, client: ClientDep) -> Response:
    """End the session of the access token. Its tokens become invalid within one second."""
    await sessions.log_out(caller, client)
    return Response(status_code=204)


@router.get("/me", summary="Get the current caller", **document_responses(200, MeOut))
async def get_current_user(caller: ReadSelfCaller, sessions: SessionsDep) -> Response:
    """Get the caller's identity and rights."""
    return build_json_response(serialize_identity(caller, await sessions.describe_caller(caller)))


@router.post("/password", summary="Set your password", **document_responses(204, "The password is changed"))
async def set_password(
    caller: ReadSelfCaller, body: Annotated[PasswordIn, Depends(json_body(PasswordIn, _PASSWORD_EXAMPLE))],
    login_service: LoginServiceDep, client: ClientDep,
) -> Response:  # fmt: skip
    """Change the password of the logged-in user, who must send the current one.

    All other sessions of the user end.
    """
    await login_service.change_password(caller, body.current_password, body.new_password, client)
    return Response(status_code=204)


@router.get("/sessions", summary="List your sessions", **document_responses(200, list[LoginSessionOut]))
async def list_sessions(caller: ReadSelfCaller, sessions: SessionsDep) -> Response:
    """List the active sessions of the logged-in user, most recently used first."""
    open_sessions = await sessions.list_own_sessions(caller)
    return build_json_response(
        [serialize_session(session, get_session_id(caller)) for session in open_sessions]
    )


@router.delete(
    "/sessions/{session_id}",
    summary="Revoke a session",
    **document_responses(204, "The session has ended", 404),
)
async def revoke_session(
    caller: ReadSelfCaller,
    session_id: Annotated[str, Path(max_length=32)],
    sessions: SessionsDep,
    client: ClientDep,
) -> Response:
    """End one of your own sessions. Its tokens become invalid within one second."""
    await sessions.revoke(caller, session_id, client)
    return Response(status_code=204)
