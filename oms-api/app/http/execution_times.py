"""The fields of a reported trade that state when it was executed."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from app.http.fields import check_length, clean
from app.http.lists import QueryTime
from app.http.request_models import FrozenRequestModel

REASON_LENGTH = 500


def _convert_empty_to_none(value: str | None) -> str | None:
    return value or None


_Reason = Annotated[
    str, Field(max_length=REASON_LENGTH), AfterValidator(clean), AfterValidator(check_length(REASON_LENGTH))
]


class ExecutionTimeIn(FrozenRequestModel):
    """When a trade was executed, where that is not the time of recording."""

    executed_at: QueryTime | None = Field(
        None,
        description="Time of the execution; default: now. At most 60 seconds in the future, and not "
        "before the previous trade of the portfolio in the symbol, unless `backdated`",
        examples=["2026-11-20T15:04:05.123456Z"],
    )
    backdated: bool = Field(
        False, description="`true`: `executed_at` may be before that of the previous trade", examples=[False]
    )
    backdated_reason: Annotated[_Reason | None, AfterValidator(_convert_empty_to_none)] = Field(
        None,
        description="Why the trade is reported late; required if `backdated` is true",
        examples=["Missing from the broker's first file"],
    )

    @model_validator(mode="after")
    def _require_reason_if_backdated(self) -> Self:
        if self.backdated and self.executed_at is None:
            raise _build_field_error("executed_at", "Required when `backdated` is true.")
        if self.backdated and self.backdated_reason is None:
            raise _build_field_error("backdated_reason", "Required when `backdated` is true.")
        if self.backdated_reason is not None and not self.backdated:
            raise _build_field_error("backdated", "Must be true when `backdated_reason` is given.")
        return self


def _build_field_error(field: str, message: str) -> PydanticCustomError:
    return PydanticCustomError("backdated", "{message}", {"field": field, "message": message})
