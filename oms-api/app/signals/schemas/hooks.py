"""Request and response bodies of hooks."""

import ipaddress
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from app.http.fields import WholeNumber, clean
from app.http.request_models import RequestModel
from app.identity.schemas.fields import KeyName
from app.signals.rules.templates import FIELDS, find_template_problem
from app.signals.rules.values import HookTerms, SignalStatus
from app.signals.schemas.signals import StrategyName

MAX_NETWORKS = 50
MAX_AGE_SECONDS = 86_400
_AT = "2026-11-20T15:04:05.123456Z"
_TEMPLATE = "{side} {symbol} {qty} at {price}"
_PATHS = {"symbol": "ticker", "side": "strategy.order_action", "qty": "strategy.contracts"}


def _validate_network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text.strip()))
    except ValueError:
        message = "Must be an address or a network, such as 203.0.113.0/24."
        raise PydanticCustomError("network", message) from None


def _validate_template(text: str) -> str:
    problem = find_template_problem(text)
    if problem is not None:
        raise PydanticCustomError("template", "{message}", {"message": problem})
    return text


def _validate_paths(paths: dict[str, str]) -> dict[str, str]:
    unknown = sorted(set(paths) - FIELDS)
    if unknown:
        raise PydanticCustomError("paths", "Unknown field `{name}`.", {"name": unknown[0][:100]})
    return paths


AddressRange = Annotated[str, Field(max_length=50), AfterValidator(_validate_network)]
Template = Annotated[str, Field(max_length=300), AfterValidator(clean), AfterValidator(_validate_template)]
Paths = Annotated[
    dict[str, Annotated[str, Field(min_length=1, max_length=100), AfterValidator(clean)]],
    Field(min_length=1), AfterValidator(_validate_paths),
    WithJsonSchema(
        {
            "type": "object",
            "properties": {name: {"type": "string", "maxLength": 100} for name in sorted(FIELDS)},
            "additionalProperties": False,
            "minProperties": 1,
        }
    ),
]  # fmt: skip


class HookIn(RequestModel):
    """An address that receives signals.

    Set `template` for text messages, or `paths` for JSON with other names.
    """

    name: KeyName = Field(description="Your name of the hook", examples=["TradingView"])
    strategy: StrategyName | None = Field(
        None, description="Strategy of its signals; null: the one in each message", examples=["momentum"]
    )
    template: Template | None = Field(
        None, description="Template of text messages, with fields in braces; null: JSON", examples=[_TEMPLATE]
    )
    paths: Paths | None = Field(
        None, description="Path of each field in JSON messages; null: our names", examples=[_PATHS]
    )
    allowed_networks: Annotated[list[AddressRange], Field(min_length=1, max_length=MAX_NETWORKS)] | None = (
        Field(
            None,
            description="Networks from which messages are accepted; null: all",
            examples=[["203.0.113.0/24"]],
        )
    )
    max_age_seconds: Annotated[WholeNumber, Field(ge=1, le=MAX_AGE_SECONDS)] = Field(
        300, description="Maximum age of a message by its `time`, in seconds", examples=[300]
    )

    @model_validator(mode="after")
    def _require_one_form(self) -> "HookIn":
        if self.template is not None and self.paths is not None:
            message = "Send either `template` or `paths`."
            raise PydanticCustomError("one_form", message, {"field": "paths"})
        return self

    def to_terms(self) -> HookTerms:
        """Return the service's parameters."""
        networks = None if self.allowed_networks is None else tuple(self.allowed_networks)
        return HookTerms(self.name, self.strategy, self.template, self.paths, networks, self.max_age_seconds)


class HookOut(BaseModel):
    """A hook without its token."""

    id: str = Field(description="ID of the hook", examples=["sh_0123456789abcdef"])
    name: str = Field(description="Your name of the hook", examples=["TradingView"])
    strategy: str | None = Field(description="Strategy of its signals", examples=["momentum"])
    template: str | None = Field(description="Template of text messages; null: JSON", examples=[_TEMPLATE])
    paths: dict[str, Any] | None = Field(description="Path of each field in JSON messages", examples=[_PATHS])
    allowed_networks: list[str] | None = Field(
        description="Networks from which messages are accepted; null: all", examples=[["203.0.113.0/24"]]
    )
    max_age_seconds: int = Field(
        description="Maximum age of a message by its `time`, in seconds", examples=[300]
    )
    created_by: str = Field(description="Person or key that created it", examples=["alice@example.com"])
    created_at: str = Field(description="Time of creation, in UTC", examples=[_AT])
    rotated_at: str | None = Field(description="Time of the last rotation, in UTC", examples=[None])


class HookMadeOut(HookOut):
    """A hook with its new token, which is shown once."""

    token: str = Field(description="Token of the hook; shown once", examples=["sigh_MfKQ9r8GKYqrTwjUPD8"])
    path: str = Field(
        description="Path to which messages are sent; it contains the token",
        examples=["/api/v1/signals/hook/sigh_MfKQ9r8GKYqrTwjUPD8ILPZIo2La"],
    )


class HookReceiptOut(BaseModel):
    """The stored signal of a message."""

    id: str = Field(description="ID of the signal", examples=["sh_0123456789abcdef:alert-1"])
    status: SignalStatus = Field(
        description="Outcome of the signal; `received`: none yet", examples=["received"]
    )
