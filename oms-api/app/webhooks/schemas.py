"""Request and response bodies of webhooks."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.http.fields import WholeNumber, clean
from app.http.lists import Cursor, PageLimit
from app.http.pages import DEFAULT_LIMIT
from app.http.request_models import RequestModel
from app.identity.schemas.fields import KeyName, Patch, omit_field
from app.webhooks.rules.addresses import MAX_URL_LENGTH
from app.webhooks.rules.values import ALL_TYPES, NewWebhook

MAX_TYPES = 50
WEBHOOK_ID_PATTERN = "^wh_[0-9a-f]{24}$"
WEEK_SECONDS = 7 * 24 * 3600
_EVENT_TYPE_PATTERN = re.compile(r"[a-z][a-z_]*(\.[a-z_]+|\.\*)", re.ASCII)
_EXAMPLE_URL = "https://hooks.example.com/oms"
_EXAMPLE_TIME = "2026-11-20T15:04:05.123456Z"
_EXAMPLE_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  # an example


def _validate_event_types(types: list[str]) -> list[str]:
    for type_name in types:
        if type_name != ALL_TYPES and (len(type_name) > 60 or not _EVENT_TYPE_PATTERN.fullmatch(type_name)):
            raise PydanticCustomError("event_type", "Each must be a type such as order.filled, order.* or *.")
    return list(dict.fromkeys(types))


def _validate_url(url: str) -> str:
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise PydanticCustomError("url", "Must be a URL of printable ASCII characters.")
    return url


EventTypes = Annotated[
    list[str], Field(min_length=1, max_length=MAX_TYPES), AfterValidator(_validate_event_types),
    WithJsonSchema(
        {"type": "array", "minItems": 1, "maxItems": MAX_TYPES, "items": {
            "type": "string", "pattern": r"^([a-z][a-z_]*(\.[a-z_]+|\.\*)|\*)$", "maxLength": 60,
        }}
    ),
]  # fmt: skip
Url = Annotated[str, Field(min_length=1, max_length=MAX_URL_LENGTH), AfterValidator(_validate_url)]
Description = Annotated[str, Field(max_length=300), AfterValidator(clean)]
WebhookName = KeyName
_TYPES_DESCRIPTION = "Event types that the endpoint receives: `order.filled`, `order.*` or `*`"


class WebhookIn(RequestModel):
    """A webhook to create."""

    url: Url = Field(description="URL to which events are sent by POST; https only", examples=[_EXAMPLE_URL])
    event_types: EventTypes = Field(description=_TYPES_DESCRIPTION, examples=[["order.filled", "trade.*"]])
    description: Description | None = Field(None, description="Your note; null: none", examples=["Risk"])

    def to_parameters(self) -> NewWebhook:
        """Return the service's parameters."""
        return NewWebhook(self.url, tuple(self.event_types), self.description)


class WebhookPatch(Patch):
    """The changes of a webhook. A field that you leave out keeps its value."""

    url: Url = omit_field()
    event_types: EventTypes = omit_field()
    description: Description | None = Field(None, description="Your note; null: none", examples=["Risk"])

    def to_changes(self) -> dict[str, Any]:
        """Return the columns to change."""
        changes = {name: getattr(self, name) for name in self.model_fields_set}
        if "event_types" in changes:
            changes["event_types"] = " ".join(changes["event_types"])
        return changes


class SecretRotationIn(RequestModel):
    """The overlap in which the previous secret also signs."""

    overlap_seconds: Annotated[WholeNumber, Field(ge=0, le=WEEK_SECONDS)] = Field(
        3600, description="Seconds in which both secrets sign", examples=[3600]
    )


class WebhookOut(BaseModel):
    """A webhook without its secret."""

    id: str = Field(description="ID of the webhook", examples=["wh_0123456789abcdef01234567"])
    name: str | None = Field(
        description="Name in `PUT /webhooks/by-name/{webhook_name}`; null: none", examples=["risk"]
    )
    url: str = Field(description="URL to which events are sent", examples=[_EXAMPLE_URL])
    event_types: list[str] = Field(description=_TYPES_DESCRIPTION, examples=[["order.filled", "trade.*"]])
    description: str | None = Field(description="Your note; null: none", examples=["Risk"])
    status: Literal["enabled", "disabled"] = Field(
        description="Whether events are sent", examples=["enabled"]
    )
    disabled_reason: str | None = Field(
        description="Why it was disabled; null: it is enabled", examples=["The endpoint answered 410 Gone."]
    )
    previous_secret_expires_at: str | None = Field(
        description="Time in UTC until which the previous secret also signs; null: there is none",
        examples=[_EXAMPLE_TIME],
    )
    created_by: str = Field(description="Person or key that created it", examples=["alice@example.com"])
    created_at: str = Field(description="Time of creation, in UTC", examples=[_EXAMPLE_TIME])
    updated_at: str = Field(description="Time of the last change, in UTC", examples=[_EXAMPLE_TIME])


class WebhookMadeOut(WebhookOut):
    """A webhook with its new secret, which is shown once."""

    secret: str = Field(description="Secret of the signatures; shown once", examples=[_EXAMPLE_SECRET])


class AttemptOut(BaseModel):
    """An attempt to deliver an event."""

    attempt: int = Field(description="Number of the attempt, from 1", examples=[1])
    at: str = Field(description="Time of the request, in UTC", examples=[_EXAMPLE_TIME])
    response_status: int | None = Field(description="HTTP status; null: no answer", examples=[500])
    latency_ms: int = Field(description="Milliseconds until the response or the failure", examples=[12])
    error: str | None = Field(
        description="Why there was no response; null: there was one", examples=["No response within 10 s."]
    )


class DeliveryOut(BaseModel):
    """An event that is sent to a webhook, with the result of the last attempt."""

    id: str = Field(description="ID of the delivery", examples=["Tu9FOejg28xDARl1OwAoEjcdOV4"])
    event_id: str = Field(
        description="ID of the event: the header webhook-id", examples=["q83vEjRWeJCrze8SNFZ4"]
    )
    event_type: str = Field(description="Type of the event", examples=["order.filled"])
    attempt: int = Field(description="Number of attempts so far", examples=[1])
    status: Literal["pending", "delivered", "failed"] = Field(description="Progress", examples=["delivered"])
    response_status: int | None = Field(
        description="HTTP status of the last attempt; null: no answer", examples=[200]
    )
    latency_ms: int | None = Field(
        description="Milliseconds of the last attempt; null: there was none", examples=[12]
    )
    error: str | None = Field(
        description="Why the last attempt had no response; null: it had one", examples=[None]
    )
    next_attempt_at: str | None = Field(
        description="Time of the next attempt, in UTC; null: it is complete", examples=[_EXAMPLE_TIME]
    )
    created_at: str = Field(description="Time when it was queued, in UTC", examples=[_EXAMPLE_TIME])
    attempts: list[AttemptOut] = Field(description="Attempts, the oldest first")


class DeliveriesOut(BaseModel):
    """A page of deliveries."""

    items: list[DeliveryOut] = Field(description="Deliveries, newest first")


class DeliveryQuery(RequestModel):
    """Cursor of the list of deliveries."""

    limit: PageLimit = DEFAULT_LIMIT
    cursor: Cursor | None = None
