"""Portfolios, made and renamed."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from app.identity.dependencies import require_permission
from app.identity.routes.request_context import TheAdministration, TheRequestContext, build_response
from app.identity.rules.access import Caller, Operation
from app.ledger.dependencies import TheGuard
from app.ledger.routes.reading import MOST_NAME, wanted_name
from app.ledger.schemas import PortfolioIn, PortfolioPatch, SummaryOut
from app.ledger.service import managing as service
from app.ledger.service.managing import NewPortfolio
from app.wire.answers import REPLAYED_HEADER, responses
from app.wire.body import documented_body, json_body

router = APIRouter(prefix="/portfolios", tags=["portfolios"])

Creator = Annotated[Caller, Depends(require_permission(Operation.CREATE_PORTFOLIO))]
Manager = Annotated[Caller, Depends(require_permission(Operation.MANAGE_PORTFOLIOS))]
_EXAMPLE = {"name": "Growth", "base_currency": "USD", "opening_cash": "1000000.00"}


@router.post(
    "",
    summary="Create a portfolio",
    status_code=201,
    responses=responses(201, {"model": SummaryOut}, 409, 413, 415, headers=REPLAYED_HEADER),
    openapi_extra=documented_body(PortfolioIn, _EXAMPLE),
)
async def make_portfolio(
    caller: Creator, body: Annotated[PortfolioIn, Depends(json_body(PortfolioIn))],
    administration: TheAdministration, request_context: TheRequestContext, guard: TheGuard,
) -> Response:  # fmt: skip
    """Create a paper portfolio. Orders need one that exists; a reported trade opens its own."""
    context = request_context.context(caller, body)
    parameters = NewPortfolio(body.name, body.base_currency, body.opening_cash)
    return build_response(
        await administration.change(
            context,
            lambda connection, now: service.create_portfolio(connection, context, parameters, guard, now),
        )
    )


@router.patch(
    "/{name}",
    summary="Rename a portfolio",
    responses=responses(200, {"model": SummaryOut}, 404, 409, 413, 415, headers=REPLAYED_HEADER),
    openapi_extra=documented_body(PortfolioPatch, {"name": "Growth and Income"}),
)
async def rename_portfolio(
    caller: Manager, name: Annotated[str, Path(json_schema_extra={"maxLength": MOST_NAME})],
    body: Annotated[PortfolioPatch, Depends(json_body(PortfolioPatch))], administration: TheAdministration,
    request_context: TheRequestContext, guard: TheGuard,
) -> Response:  # fmt: skip
    """Give a portfolio another name. Its trades, positions, grants, limits and kill switch stay with it."""
    parameters = wanted_name(name)
    context = request_context.context(caller, body, parameters)
    return build_response(
        await administration.change(
            context,
            lambda connection, now: service.rename_portfolio(
                connection, context, parameters, body.name, guard, now
            ),
        )
    )
