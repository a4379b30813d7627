"""Routes that move and list cash."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import Connection

from app.http.body import json_body
from app.http.dependencies import ClockDep, ReadersDep
from app.http.fields import PositiveAmount, to_lower_case
from app.http.list_pages import PagesDep
from app.http.lists import PageQuery
from app.http.request_models import RequestModel
from app.http.responses import document_responses
from app.identity.dependencies.authentication import ReadBooksCaller, require_permission
from app.identity.dependencies.change_requests import ChangeRequestsDep
from app.identity.rules.access import Caller, Operation
from app.ledger.dependencies import CashReaderDep
from app.ledger.queries.cash import CashCursor
from app.ledger.routes.currencies import KnownCurrency
from app.ledger.routes.portfolios import MAX_NAME_LENGTH, parse_portfolio_name
from app.ledger.schemas import Note, PortfolioName
from app.ledger.service.cash import CashMove, move_cash
from app.ledger.service.cash_statement import CashStatement, read_cash_statement
from app.money import format_fixed, shorten_amount
from app.text import name_key

router = APIRouter(prefix="/portfolios", tags=["portfolios"])

MoveCashCaller = Annotated[Caller, Depends(require_permission(Operation.MOVE_CASH))]
PortfolioNamePath = Annotated[str, Path(json_schema_extra={"maxLength": MAX_NAME_LENGTH})]
_LIST = "cash"
_EXAMPLE = {"kind": "deposit", "amount": "50000.00", "currency": "USD", "reason": "New capital"}


class CashIn(RequestModel):
    """A deposit, a withdrawal, or a transfer to another portfolio of the same currency."""

    OTHER_NAMES: ClassVar[Mapping[str, str]] = {"to": "Did you mean `to_portfolio`?", "note": "Use `reason`."}

    kind: Annotated[Literal["deposit", "withdrawal", "transfer"], BeforeValidator(to_lower_case)] = Field(
        description="`deposit`, `withdrawal` or `transfer`", examples=["deposit"]
    )
    amount: PositiveAmount = Field(description="Amount in `currency`, without a sign", examples=["50000.00"])
    currency: KnownCurrency = Field(description="Currency of the portfolio", examples=["USD"])
    to_portfolio: PortfolioName | None = Field(
        None, description="`transfer`: the portfolio that receives the cash", examples=["Income"]
    )
    reason: Annotated[Note, Field(min_length=1)] = Field(
        description="Reason, for the audit log", examples=["New capital"]
    )

    @model_validator(mode="after")
    def _has_a_target(self) -> "CashIn":
        if (self.kind == "transfer") != (self.to_portfolio is not None):
            message = "`to_portfolio` is required for a transfer, and not allowed otherwise."
            raise PydanticCustomError("transfer", message, {"field": "to_portfolio"})
        return self


class CashRowOut(BaseModel):
    """A row that changed the cash of a portfolio. Amounts are in its currency."""

    kind: str = Field(
        description="`opening`, `trade`, `deposit`, `withdrawal`, `transfer_in`, `transfer_out`, `charges`, "
        "`dp_charges`, `dividend`, `withholding`, `interest`, `borrow` or `adjustment`",
        examples=["deposit"],
    )
    amount: str = Field(description="Amount, positive if it increases the cash", examples=["50000.00"])
    currency: str = Field(description="Currency of the portfolio", examples=["USD"])
    balance: str = Field(description="Cash after the row", examples=["1050000.00"])
    charges: str | None = Field(
        description="`trade`: the part of the amount that is charges", examples=["1.00"]
    )
    trade_id: str | None = Field(description="`trade`: ID of the trade", examples=[None])
    symbol: str | None = Field(description="Symbol of the instrument, if there is one", examples=[None])
    counterpart: str | None = Field(
        description="The other portfolio of a transfer; null if there is none, or if you may not see it",
        examples=["Income"],
    )
    reason: str | None = Field(description="Reason that the request gave", examples=["New capital"])
    source: str | None = Field(description="Name of the key that recorded it", examples=["bootstrap"])
    actor: str | None = Field(
        description="Person who recorded it; null: none", examples=["slack:T0123:U0123"]
    )
    request_id: str | None = Field(description="Request that recorded it", examples=["3f2c8c7f6f0d4f1ab2c1"])
    idempotency_key: str | None = Field(description="Idempotency key of that request", examples=["wire-42"])
    settles_on: str | None = Field(
        description="Settlement date in the market's time zone; null if its calendar is not known",
        examples=["2026-11-20"],
    )
    is_settled: bool = Field(description="Whether it has settled", examples=[True])
    created_at: str = Field(description="Time of recording, in UTC", examples=["2026-11-20T15:04:05.123456Z"])


class CashOut(BaseModel):
    """The cash of a portfolio and a page of its rows, newest first."""

    portfolio_name: str = Field(description="Name of the portfolio", examples=["Growth"])
    currency: str = Field(description="Base currency of the portfolio", examples=["USD"])
    cash: str = Field(
        description="Sum of the amounts of all rows, including the opening cash", examples=["1050000.00"]
    )
    settled_cash: str = Field(description="Settled part of the cash", examples=["1050000.00"])
    unsettled_cash: str = Field(description="Cash that later settlements add", examples=["0.00"])
    buying_power: str = Field(
        description="Cash available for new orders and withdrawals", examples=["1050000.00"]
    )
    rows: list[CashRowOut] = Field(description="Rows of the page, newest first")


@router.post(
    "/{name}/cash",
    summary="Create a deposit, withdrawal or transfer",
    **document_responses(201, CashRowOut, 404, 409),
)
async def record_cash(
    caller: MoveCashCaller, name: PortfolioNamePath,
    body: Annotated[CashIn, Depends(json_body(CashIn, _EXAMPLE))],
    change_requests: ChangeRequestsDep, cash_reader: CashReaderDep,
) -> Response:  # fmt: skip
    """Deposit, withdraw or transfer cash.

    A withdrawal or transfer beyond the buying power is refused. A transfer records both sides or nothing.
    """
    flow = (body.kind, body.amount, body.currency, body.to_portfolio, body.reason)
    move = CashMove(parse_portfolio_name(name), *flow)
    return await change_requests.execute(caller, body, move_cash, move, cash_reader.buying_powers)


@router.get(
    "/{name}/cash", summary="List the cash movements of a portfolio", **document_responses(200, CashOut, 404)
)
async def list_cash(
    caller: ReadBooksCaller, name: PortfolioNamePath, query: Annotated[PageQuery, Query()],
    readers: ReadersDep, pages: PagesDep, now: ClockDep, cash_reader: CashReaderDep,
) -> Response:  # fmt: skip
    """List opening cash, trades and other cash movements, each with the balance after it, newest first."""
    portfolio_name, at = parse_portfolio_name(name), now()
    list_name = f"{_LIST} {name_key(portfolio_name)}"
    page = pages.open(caller.tenant_id, list_name, query)
    before = None if page.start is None else _parse_cursor(page.start)

    def read(connection: Connection) -> CashStatement:
        return read_cash_statement(connection, caller, portfolio_name, (before, page.count), cash_reader, at)

    statement = await readers.run(read, caller.tenant_id)
    rows = statement.rows[: query.limit]
    position = _format_cursor(rows[-1][0]) if len(statement.rows) > query.limit else None
    return page.build_content_response(_serialize(statement, [row for _, row in rows]), position)


def _serialize(statement: CashStatement, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "portfolio_name": statement.summary.name,
        "currency": statement.summary.base_currency,
        "cash": shorten_amount(statement.summary.cash),
        "settled_cash": shorten_amount(format_fixed(statement.figures.settled)),
        "unsettled_cash": shorten_amount(format_fixed(statement.figures.unsettled)),
        "buying_power": shorten_amount(format_fixed(statement.figures.buying_power)),
        "rows": rows,
    }


def _format_cursor(position: CashCursor) -> str:
    return f"{position.trade_sequence}.{position.cash_sequence}"


def _parse_cursor(text: str) -> CashCursor:
    return CashCursor._make(map(int, text.split(".")))
