"""Types of the fields of order requests."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from app.http.fields import to_upper_case
from app.http.lists import parse_instant
from app.ledger.schemas import Label, Note
from app.orders.rules.tickets import parse_order_type
from app.orders.rules.values import (
    OrderType,
    TimeInForce,
)
from app.orders.schemas.other_names import OTHER_NAMES

ID_LENGTH = 100
_TYPES = [*OrderType, "SL", "SL-M"]


def _parse_type(value: Any) -> OrderType:  # the raw JSON value
    try:
        return parse_order_type(value.upper())
    except (ValueError, AttributeError):
        message = f"Must be one of {', '.join(_TYPES)}."
        raise PydanticCustomError("order_type", "{message}", {"message": message}) from None


def _parse_time(value: Any) -> datetime:  # the raw JSON value
    if not isinstance(value, str):
        raise PydanticCustomError("instant", "Must be an instant with its offset, as a string.")
    return parse_instant(value)


def _check_printable(value: str) -> str:
    if not (value.isascii() and value.isprintable() and value == value.strip()):
        raise PydanticCustomError(
            "client_order_id", "Must be printable ASCII, without spaces at its start or end."
        )
    return value


def _convert_empty_to_none(value: str | None) -> str | None:
    return value or None


OrderTypeInput = Annotated[
    OrderType,
    BeforeValidator(_parse_type),
    WithJsonSchema({"type": "string", "enum": [str(order_type) for order_type in _TYPES]}),
]
OrderProduct = Annotated[Literal["CNC", "MIS", "NRML"], BeforeValidator(to_upper_case)]
TimeInForceInput = Annotated[TimeInForce, BeforeValidator(to_upper_case)]
ExpiryInput = Annotated[datetime, BeforeValidator(_parse_time)]
ClientOrderId = Annotated[str, Field(min_length=1, max_length=ID_LENGTH), AfterValidator(_check_printable)]
ExecutionId = Annotated[str, Field(min_length=1, max_length=95), AfterValidator(_check_printable)]
OptionalLabel = Annotated[Label | None, AfterValidator(_convert_empty_to_none)]
OrderReason = Annotated[Note | None, AfterValidator(_convert_empty_to_none)]


class RequestBody(BaseModel):
    """A body whose fields are all known."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class OrderRequestBody(RequestBody):
    """A body for which the names of fields in other brokers' APIs are explained."""

    OTHER_NAMES: ClassVar[Mapping[str, str]] = OTHER_NAMES
