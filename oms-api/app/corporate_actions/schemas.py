"""Request and response bodies of corporate actions."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from app.calendars.schemas import LocalDate
from app.corporate_actions.queries import ActionRecord
from app.corporate_actions.rules.terms import ActionDraft
from app.corporate_actions.rules.values import ActionPreview, OpenOrderChange, PositionChange
from app.http.fields import PositiveAmount, to_lower_case
from app.http.lists import Cursor, Limit
from app.http.pages import DEFAULT_LIMIT
from app.http.request_models import RequestModel
from app.instruments.schemas import Symbol
from app.ledger.routes.currencies import KnownCurrency
from app.ledger.rules.corporate_actions import ActionKind
from app.ledger.schemas import Note
from app.money import format_money, format_optional_money, format_optional_quantity
from app.timestamps import format_optional_timestamp

ActionKindInput = Annotated[ActionKind, BeforeValidator(to_lower_case)]
ActionReason = Annotated[Note, Field(min_length=1)]


class CorporateActionIn(RequestModel):
    """A split, a symbol change or a cash dividend. Each kind has separate fields."""

    kind: ActionKindInput = Field(description="`split`, `symbol_change` or `dividend`", examples=["split"])
    symbol: Symbol = Field(description="Symbol or alias of the instrument", examples=["AAPL"])
    ex_date: LocalDate = Field(
        description="First date, in the instrument's market, on which the action shows in the price",
        examples=["2026-11-23"],
    )
    reason: ActionReason = Field(
        description="Reason, for the audit log", examples=["Announced on 2026-10-30"]
    )
    new_units: PositiveAmount | None = Field(
        None, description="`split`: units after it for `old_units` before it", examples=["2"]
    )
    old_units: PositiveAmount | None = Field(None, description="`split`: units before it", examples=["1"])
    cash_in_lieu_price: PositiveAmount | None = Field(
        None,
        description="`split`: price per new unit for the fraction of a unit that is paid in cash, in the "
        "instrument's currency; null: the position's average cost",
        examples=["87.50"],
    )
    new_symbol: Symbol | None = Field(
        None, description="`symbol_change`: the symbol from the ex-date on", examples=["META"]
    )
    amount: PositiveAmount | None = Field(
        None, description="`dividend`: cash for each unit, in `currency`", examples=["0.26"]
    )
    currency: KnownCurrency | None = Field(
        None, description="`dividend`: ISO 4217 code of its currency", examples=["USD"]
    )
    withholding_percent: PositiveAmount | None = Field(
        None, description="`dividend`: tax withheld from long positions, in percent", examples=["15"]
    )
    pay_date: LocalDate | None = Field(
        None, description="`dividend`: date on which it is paid", examples=["2026-12-11"]
    )

    def to_draft(self) -> ActionDraft:
        """Return the terms as the services take them."""
        return ActionDraft(**{name: getattr(self, name) for name in ActionDraft._fields})


class ReversalIn(RequestModel):
    """The reason of a reversal."""

    reason: ActionReason = Field(description="Reason, for the audit log", examples=["Wrong ratio"])


class CorporateActionQuery(RequestModel):
    """Filters and cursor of the list."""

    symbol: Symbol | None = Field(None, description="Symbol of the instrument; null: all")
    limit: Limit = DEFAULT_LIMIT
    cursor: Cursor | None = None


class CorporateActionOut(BaseModel):
    """A corporate action. Fields of other kinds are null."""

    id: str = Field(description="ID of the corporate action", examples=["C16972345671230000a1b2c3d4"])
    kind: str = Field(description="`split`, `symbol_change` or `dividend`", examples=["split"])
    status: str = Field(
        description="`scheduled` until the ex-date, `pending` while portfolios are booked, `booked` or "
        "`reversed`",
        examples=["booked"],
    )
    symbol: str = Field(description="Symbol of the instrument", examples=["AAPL"])
    ex_date: str = Field(description="Ex-date in the instrument's market", examples=["2026-11-23"])
    effective_at: str = Field(
        description="Beginning of the ex-date, in UTC; the action changes positions from earlier executions",
        examples=["2026-11-23T05:00:00.000000Z"],
    )
    new_units: str | None = Field(description="`split`: units after it", examples=["2"])
    old_units: str | None = Field(description="`split`: units before it", examples=["1"])
    cash_in_lieu_price: str | None = Field(
        description="`split`: price of a fraction, in the instrument's currency", examples=["87.50"]
    )
    new_symbol: str | None = Field(description="`symbol_change`: the new symbol", examples=["META"])
    amount: str | None = Field(description="`dividend`: cash for each unit", examples=["0.26"])
    currency: str | None = Field(description="`dividend`: its currency", examples=["USD"])
    withholding_percent: str | None = Field(description="`dividend`: tax in percent", examples=["15"])
    pay_date: str | None = Field(description="`dividend`: date of payment", examples=["2026-12-11"])
    reason: str = Field(description="Why it was recorded", examples=["Announced on 2026-10-30"])
    created_by: str = Field(description="Person or key that recorded it", examples=["slack:T0123:U0123"])
    created_at: str = Field(description="Time of recording, in UTC", examples=["2026-11-20T15:04:05.123456Z"])
    booked_at: str | None = Field(
        description="Time when it was booked in all portfolios, in UTC; null: not yet",
        examples=["2026-11-23T05:00:03.123456Z"],
    )
    reversed_at: str | None = Field(description="When it was reversed", examples=[None])
    reversal_reason: str | None = Field(description="Why it was reversed", examples=[None])


class PositionChangeOut(BaseModel):
    """A position before and after the action."""

    portfolio_name: str = Field(description="Name of the portfolio", examples=["Growth"])
    symbol: str = Field(description="Symbol before the action", examples=["AAPL"])
    product: str = Field(description="Product, such as CNC or MIS; empty: none", examples=[""])
    quantity_before: str = Field(description="Signed quantity in units", examples=["100"])
    average_before: str = Field(description="Average cost in the portfolio's currency", examples=["180.00"])
    symbol_after: str = Field(description="Symbol after the action", examples=["AAPL"])
    quantity_after: str = Field(description="Signed quantity in units", examples=["200"])
    average_after: str = Field(description="Average cost in the portfolio's currency", examples=["90.00"])
    cash: str = Field(
        description="Cash that the portfolio receives, negative if it pays, in its currency",
        examples=["0.00"],
    )
    currency: str = Field(description="Currency of the portfolio", examples=["USD"])


class OrderChangeOut(BaseModel):
    """An open order that the action restates or cancels."""

    portfolio_name: str = Field(description="Name of the portfolio", examples=["Growth"])
    order_id: str = Field(description="ID of the order", examples=["O16972345671230000a1b2c3d4"])
    change: str = Field(
        description="`restated`, or `cancelled` (with two l) if the action cancels the order",
        examples=["restated"],
    )
    quantity: str | None = Field(description="New total quantity in units", examples=["200"])
    limit_price: str | None = Field(description="New limit price", examples=["85.00"])
    stop_price: str | None = Field(description="New stop price", examples=[None])


class CorporateActionPreviewOut(BaseModel):
    """The changes that an action would make."""

    effective_at: str = Field(
        description="Beginning of the ex-date", examples=["2026-11-23T05:00:00.000000Z"]
    )
    positions: list[PositionChangeOut] = Field(description="Positions held before the ex-date")
    orders: list[OrderChangeOut] = Field(description="Open orders that are restated or canceled")


def serialize_record(record: ActionRecord, now: str) -> dict[str, Any]:
    """Return the response of an action, as `CorporateActionOut` describes it. `now` is canonical text."""
    action = record.action
    amounts = ("new_units", "old_units", "cash_in_lieu_price", "amount", "withholding_percent")
    times = ("created_at", "booked_at", "reversed_at")
    terms = ("id", "symbol", "ex_date", "effective_at", "new_symbol", "currency")
    names = ("pay_date", "reason", "created_by", "reversal_reason")
    return {
        "kind": action.kind.value,
        "status": _get_status(record, now),
        **{name: getattr(action, name) for name in terms},
        **{name: format_optional_quantity(getattr(action, name)) for name in amounts},
        **{name: getattr(record, name) for name in names},
        **{name: format_optional_timestamp(at) for name in times for at in [getattr(record, name)]},
    }


def _get_status(action: ActionRecord, now: str) -> str:
    if action.reversed_at is not None:
        return "reversed"
    if action.booked_at is not None:
        return "booked"
    return "scheduled" if action.action.effective_at > now else "pending"


def serialize_preview(effective_at: str, new_symbol: str | None, preview: ActionPreview) -> dict[str, Any]:
    """Return the response of a preview, as `CorporateActionPreviewOut` describes it."""
    return {
        "effective_at": effective_at,
        "positions": [_serialize_position(change, new_symbol) for change in preview.positions],
        "orders": [_serialize_order(change) for change in preview.orders],
    }


def _serialize_position(change: PositionChange, new_symbol: str | None) -> dict[str, Any]:
    return {
        "portfolio_name": change.portfolio.name,
        "symbol": change.symbol,
        "product": change.product,
        "quantity_before": format_optional_quantity(change.quantity),
        "average_before": format_money(change.average),
        "symbol_after": new_symbol or change.symbol,
        "quantity_after": format_optional_quantity(change.new_quantity),
        "average_after": format_money(change.new_average),
        "cash": format_money(change.cash),
        "currency": change.portfolio.base_currency,
    }


def _serialize_order(change: OpenOrderChange) -> dict[str, Any]:
    restated = change.restated
    return {
        "portfolio_name": change.portfolio.name,
        "order_id": change.order.id,
        "change": "cancelled" if restated is None else "restated",
        "quantity": restated and format_optional_quantity(restated.quantity),
        "limit_price": restated and format_optional_money(restated.limit_price),
        "stop_price": restated and format_optional_money(restated.stop_price),
    }
