"""Routes that create and update portfolios."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response

from app.http.body import json_body
from app.http.responses import document_responses
from app.identity.dependencies.authentication import require_permission
from app.identity.dependencies.change_requests import ChangeRequestsDep
from app.identity.rules.access import Caller, Operation
from app.ledger.dependencies import GuardDep
from app.ledger.routes.portfolio_settings import PortfolioIn, PortfolioPatch
from app.ledger.routes.portfolios import MAX_NAME_LENGTH, parse_portfolio_name
from app.ledger.schemas import SummaryOut
from app.ledger.service import portfolio_management as service
from app.ledger.service.portfolio_management import NewPortfolio, PortfolioChanges

router = APIRouter(prefix="/portfolios", tags=["portfolios"])

CreatePortfolioCaller = Annotated[Caller, Depends(require_permission(Operation.CREATE_PORTFOLIO))]
ManagePortfoliosCaller = Annotated[Caller, Depends(require_permission(Operation.MANAGE_PORTFOLIOS))]
_EXAMPLE = {
    "name": "Growth",
    "base_currency": "USD",
    "opening_cash": "1000000.00",
    "cost_schedules": {"US": "us_equity"},
    "calendar": "XNYS",
    "enforce_sessions": "hold",
}
PortfolioPatchBody = Annotated[
    PortfolioPatch,
    Depends(json_body(PortfolioPatch, {"name": "Growth and Income", "cost_schedule": "us_equity"})),
]


@router.post("", summary="Create a portfolio", **document_responses(201, SummaryOut, 409))
async def make_portfolio(
    caller: CreatePortfolioCaller, body: Annotated[PortfolioIn, Depends(json_body(PortfolioIn, _EXAMPLE))],
    change_requests: ChangeRequestsDep, guard: GuardDep,
) -> Response:  # fmt: skip
    """Create a paper portfolio. Orders need an existing portfolio; a reported trade creates its own."""
    portfolio = NewPortfolio(body.name, body.base_currency, body.opening_cash, body.to_changes())
    return await change_requests.execute(caller, body, service.create_portfolio, portfolio, guard)


@router.patch("/{name}", summary="Update a portfolio", **document_responses(200, SummaryOut, 404, 409))
async def update_portfolio(
    caller: ManagePortfoliosCaller,
    name: Annotated[str, Path(json_schema_extra={"maxLength": MAX_NAME_LENGTH})],
    body: PortfolioPatchBody, change_requests: ChangeRequestsDep, guard: GuardDep,
) -> Response:  # fmt: skip
    """Change a portfolio's name, its settings, or both.

    Its trades, positions, grants, limits and kill switch are kept. Settings apply to later orders and
    reported trades.
    """
    current_name = parse_portfolio_name(name)
    changes = PortfolioChanges(
        body.name, body.base_currency, body.opening_cash, body.to_changes(), body.get_broker_choice()
    )
    return await change_requests.execute(caller, body, service.update_portfolio, current_name, changes, guard)
