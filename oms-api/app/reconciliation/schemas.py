"""Request and response bodies of the reconciliation."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from app.http.fields import clean
from app.http.request_models import RequestModel

_AT = "2026-11-20T15:04:05.123456Z"
_MAX_REASON = 300


class IssueQuery(RequestModel):
    """Filters of the list of issues."""

    status: Literal["open", "resolved"] | None = Field(None, description="Only this value", examples=["open"])
    severity: Literal["info", "warning", "critical"] | None = Field(
        None, description="Only this value", examples=["critical"]
    )
    portfolio: Annotated[str, Field(min_length=1, max_length=100)] | None = Field(
        None, description="Only issues of this portfolio", examples=["Growth"]
    )


class ResolutionIn(RequestModel):
    """The resolution of an issue."""

    action: Literal["adopt", "book_missing", "adjust_cash", "ignore", "watch", "assign"] = Field(
        description="`adopt`: book a trade that makes our position the broker's, or make its order one of "
        "the portfolio's; `book_missing`: try to book the execution again; `adjust_cash`: book the "
        "difference; `ignore`: both sides may stay as they are; `watch`: likewise, and the issue stays open; "
        "`assign`: you take care of it",
        examples=["assign"],
    )
    reason: Annotated[str, Field(min_length=1, max_length=_MAX_REASON), AfterValidator(clean)] = Field(
        description="Why", examples=["Bought by telephone"]
    )


class IssueOut(BaseModel):
    """A difference between a portfolio and its account at a broker."""

    id: str = Field(description="ID of the issue", examples=["ri_0123456789abcdef01234567"])
    type: Literal[
        "missing_position",
        "quantity_mismatch",
        "price_mismatch",
        "unknown_order",
        "missing_execution",
        "cash_mismatch",
    ] = Field(description="Type of the difference", examples=["quantity_mismatch"])
    severity: Literal["info", "warning", "critical"] = Field(description="Severity", examples=["critical"])
    portfolio_name: str = Field(description="The portfolio", examples=["Growth"])
    connection: str = Field(description="The broker connection", examples=["alpaca-paper"])
    symbol: str | None = Field(description="Symbol of the instrument; null: none", examples=["AAPL"])
    order_id: str | None = Field(description="ID of the order; null: none", examples=[None])
    ours: str | None = Field(description="Our figure; null: none", examples=["100"])
    theirs: str | None = Field(description="The broker's figure; null: none", examples=["90"])
    hours_unresolved: float = Field(
        description="Age in hours; it stops when the issue is resolved", examples=[1.25]
    )
    owner: str | None = Field(
        description="Person to whom it is assigned; null: nobody", examples=["bob@example.com"]
    )
    status: Literal["open", "resolved"] = Field(description="Whether it is resolved", examples=["open"])
    proposed_action: str = Field(description="Action that would resolve it", examples=["adopt"])
    action: str | None = Field(
        description="Action that resolved it, or `watch`; null: it is open", examples=[None]
    )
    reason: str | None = Field(description="Reason; null: not given", examples=[None])
    detected_at: str = Field(description="Time when it was found, in UTC", examples=[_AT])
    resolved_at: str | None = Field(
        description="Time when it was resolved, in UTC; null: it is open", examples=[_AT]
    )
    resolved_by: str | None = Field(
        description="Who resolved it; null: it is open", examples=["reconciliation"]
    )


class RunOut(BaseModel):
    """A requested comparison."""

    run_id: str = Field(description="ID of the request", examples=["rr_0123456789abcdef01234567"])
    connections: int = Field(description="Number of connections to compare", examples=[1])
    requested_at: str = Field(description="Time of the request, in UTC", examples=[_AT])
