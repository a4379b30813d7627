"""Routes that read orders."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import Connection

from app.costs.rules.booked_charges import serialize_charges
from app.http.dependencies import ReadersDep
from app.http.fields import SearchText, Side
from app.http.list_pages import PagesDep
from app.http.lists import Cursor, PageLimit, Period, QueryTime
from app.http.pages import DEFAULT_LIMIT
from app.http.problems import UNKNOWN_FIELD
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import ReadBooksCaller, require_permission
from app.identity.rules.access import Caller, Operation
from app.instruments.queries import load_symbol
from app.instruments.schemas import Symbol
from app.money import shorten_amount, shorten_quantity
from app.orders.errors import NoSuchOrder
from app.orders.queries import order_views as queries
from app.orders.queries.order_views import OrderFilter
from app.orders.queries.orders import list_order_events
from app.orders.rules.order_views import OrderView
from app.orders.rules.rows import ExecutionRow, OrderEvent
from app.orders.rules.values import FINAL_STATUSES, Status
from app.orders.schemas.other_names import OTHER_FILTERS
from app.orders.schemas.responses import OrderDetailOut, OrderOut, serialize_order
from app.text import name_key

router = APIRouter(tags=["orders"])
ReadOrderCaller = Annotated[Caller, Depends(require_permission(Operation.READ_ORDER))]

_LIST_NAME = "orders"


# The accepted names of statuses, including those of other systems, and the statuses that they select.
STATUSES_BY_NAME: dict[str, tuple[Status, ...]] = {
    **{str(status): (status,) for status in Status},
    "CANCELLED": (Status.CANCELED,),
    "PENDING": tuple(status for status in Status if status not in FINAL_STATUSES),
    "REJECTED": (Status.REJECTED, Status.DENIED),
}


def _parse_status(value: Any) -> str:  # the raw query parameter
    if value in {"open", "closed", "all"}:
        message = "Not a status; for open orders send `open=true`, for final ones `open=false`."
        raise PydanticCustomError("order_status", "{message}", {"message": message})
    name = str(value).upper()
    if name not in STATUSES_BY_NAME:
        message = f"Must be one of {', '.join(sorted(STATUSES_BY_NAME))}."
        raise PydanticCustomError("order_status", "{message}", {"message": message})
    return name


StatusInput = Annotated[
    str,
    BeforeValidator(_parse_status),
    WithJsonSchema({"type": "string", "enum": sorted(STATUSES_BY_NAME)}),
]


class OrderQuery(Period):
    """Filters of the list of orders, and its page."""

    model_config = ConfigDict(extra="forbid")

    limit: PageLimit = DEFAULT_LIMIT
    cursor: Cursor | None = None
    status: StatusInput | None = Field(
        None,
        description="In any letter case. `rejected` includes denied orders; `pending` means all open orders",
    )
    open: bool | None = Field(None, description="`true`: open orders; `false`: final orders")
    symbol: Symbol | None = None
    portfolio: SearchText | None = None
    side: Side | None = None
    strategy: SearchText | None = None
    user: SearchText | None = Field(
        None, description="User that the order names, or the person who placed it"
    )
    client_order_id: SearchText | None = None
    since: QueryTime | None = Field(None, alias="from", description="Placed at or after this instant")
    until: QueryTime | None = Field(None, alias="to", description="Placed before this instant")

    @model_validator(mode="before")
    @classmethod
    def _replace_aliases(cls, query: Any) -> Any:  # the raw query parameters
        for name in OTHER_FILTERS.keys() & query.keys():
            details = {"field": name, "hint": OTHER_FILTERS[name]}
            raise PydanticCustomError(UNKNOWN_FIELD, "", details)
        return query

    def filter(self, portfolios: frozenset[str] | None) -> OrderFilter:
        """Return the filter without the page. The caller may see `portfolios`; None means all."""
        return OrderFilter(
            statuses=None if self.status is None else STATUSES_BY_NAME[self.status],
            is_open=self.open,
            symbol=self.symbol,
            portfolio_name_key=None if self.portfolio is None else name_key(self.portfolio.strip()),
            side=self.side,
            strategy=self.strategy,
            user=self.user,
            client_order_id=self.client_order_id,
            since=self.since,
            until=self.until,
            portfolios=portfolios,
        )


@router.get("/orders", summary="List orders", **document_responses(200, list[OrderOut]))
async def list_orders(
    caller: ReadBooksCaller, query: Annotated[OrderQuery, Query()], readers: ReadersDep, pages: PagesDep
) -> Response:
    """List orders, newest first."""
    tenant_id, filters = caller.tenant_id, query.filter(caller.portfolios)
    page = pages.open(tenant_id, _LIST_NAME, query)

    def read(connection: Connection) -> list[OrderView]:
        resolved = filters
        if filters.symbol is not None:
            resolved = filters._replace(symbol=load_symbol(connection, tenant_id, filters.symbol))
        return queries.list_orders(connection, tenant_id, resolved, page.count, page.start)

    return page.build_response(
        await readers.run(read, tenant_id), serialize_order, lambda last: last.order.id
    )


@router.get(
    "/orders/{order_id}",
    summary="Get an order with its history",
    **document_responses(200, OrderDetailOut, 404),
)
async def get_order(
    caller: ReadOrderCaller, order_id: Annotated[SearchText, Path(max_length=32)], readers: ReadersDep
) -> Response:
    """Return one order with its history and its fills."""
    tenant_id = caller.tenant_id

    def read(connection: Connection) -> dict[str, Any]:
        view = queries.find_order(connection, tenant_id, order_id, caller.portfolios)
        if view is None:
            raise NoSuchOrder(order_id)
        history = list_order_events(connection, tenant_id, order_id)
        fills = queries.list_executions_of_order(connection, tenant_id, order_id)
        return {
            **serialize_order(view),
            "events": list(map(_serialize_event, history)),
            "fills": list(map(_serialize_fill, fills)),
        }

    return build_json_response(await readers.run(read, tenant_id))


def _serialize_event(event: OrderEvent) -> dict[str, Any]:
    fields = event._asdict()
    return {name: fields[name] for name in OrderEvent._fields[2:-1]} | {"broker_words": event.broker_reason}


def _serialize_fill(row: ExecutionRow) -> dict[str, Any]:
    return {
        "execution_id": row.execution_id,
        "trade_id": row.trade_id,
        "quantity": shorten_quantity(row.quantity),
        "price": shorten_amount(row.price),
        "value": shorten_amount(row.value),
        "note": row.note,
        "executed_at": row.executed_at,
        "charges": serialize_charges(row.charges),
    }
