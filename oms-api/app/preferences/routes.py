"""Routes of preferences."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from sqlalchemy import Connection

from app.http.body import json_body
from app.http.dependencies import ChangesDep, ClockDep, ReadersDep
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import require_permission
from app.identity.rules.access import Caller, Operation
from app.ledger.service.portfolio_lookup import require_portfolio
from app.preferences import queries
from app.preferences.schemas import DEFAULTS, EXAMPLE, PreferencesIn, PreferencesOut
from app.text import name_key

router = APIRouter(tags=["preferences"])

ManageOwnCaller = Annotated[Caller, Depends(require_permission(Operation.MANAGE_OWN))]


@router.get("/preferences", summary="Get your preferences", **document_responses(200, PreferencesOut))
async def get_preferences(caller: ManageOwnCaller, readers: ReadersDep) -> Response:
    """Get the preferences of the person that the request acts for, or of the key itself.

    The default portfolio is null if the caller may no longer see it.
    """
    fields = await readers.read(caller.tenant_id, queries.load_preferences, caller.actor)
    return build_json_response(_serialize_preferences(caller, fields))


@router.put("/preferences", summary="Set your preferences", **document_responses(200, PreferencesOut))
async def put_preferences(
    caller: ManageOwnCaller, body: Annotated[PreferencesIn, Depends(json_body(PreferencesIn, EXAMPLE))],
    changes: ChangesDep, now: ClockDep,
) -> Response:  # fmt: skip
    """Set the preferences that the body names, each as a whole. The others keep their values."""
    tenant_id, owner, at, fields = caller.tenant_id, caller.actor, now(), body.to_fields()

    def write(connection: Connection) -> dict[str, Any]:
        if fields.get("default_portfolio") is not None:
            portfolio = require_portfolio(
                connection, caller, fields["default_portfolio"], "default_portfolio"
            )
            fields["default_portfolio"] = portfolio.name
        stored_preferences = queries.load_preferences(connection, tenant_id, owner, for_update=True)
        queries.store_preferences(connection, tenant_id, owner, {**stored_preferences, **fields}, at)
        return {**stored_preferences, **fields}

    return build_json_response(_serialize_preferences(caller, await changes.run(write, tenant_id)))


def _serialize_preferences(caller: Caller, fields: dict[str, Any]) -> dict[str, Any]:
    """Return all preferences, without the name of a portfolio that the caller may not see."""
    preferences = {**DEFAULTS, **fields}
    name = preferences["default_portfolio"]
    if name is not None and not caller.can_see(name_key(name)):
        preferences["default_portfolio"] = None
    return preferences
