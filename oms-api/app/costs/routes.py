"""Routes of cost estimates."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response

from app.costs.dependencies import Estimator, RatesDep
from app.costs.rules.markets import MARKETS, get_trading_day, is_covered
from app.costs.schemas import EstimateIn, EstimateOut, serialize_estimate
from app.costs.service import estimate_charges
from app.http.body import json_body
from app.http.dependencies import ClockDep
from app.http.responses import build_json_response, document_responses

router = APIRouter(tags=["costs"])

EXAMPLE: dict[str, Any] = {
    "schedule": "zerodha",
    "exchange": "NSE",
    "product": "MIS",
    "side": "SELL",
    "quantity": "40",
    "price": "1100",
    "date": "2026-11-20",
}


@router.post(
    "/costs:estimate", summary="Estimate the charges of an order", **document_responses(200, EstimateOut)
)
async def estimate_costs(
    _caller: Estimator, body: Annotated[EstimateIn, Depends(json_body(EstimateIn, EXAMPLE))], rates: RatesDep,
    now: ClockDep,
) -> Response:  # fmt: skip
    """Estimate the brokerage, taxes and fees of an order that is filled by one execution.

    The response includes the source of each rate. Nothing is recorded. If the schedule does not cover the
    exchange or product, the charges are zero and `not_covered` is true.
    """
    order = body.to_terms(body.date or get_trading_day(body.exchange, now()))
    estimate = estimate_charges(order, body.to_execution(), rates)
    serialized = serialize_estimate(
        body, order, estimate.charges, estimate.dp_charge, estimate.rates, MARKETS[body.exchange],
        is_covered=is_covered(order),
    )  # fmt: skip
    return build_json_response(serialized)
