"""Request and response bodies of broker connections."""

import json
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.brokers.rules.connections import BrokerName, NewConnection
from app.http.fields import clean, to_lower_case
from app.http.request_models import RequestModel
from app.identity.schemas.fields import Patch, omit_field

MAX_ADDRESS_LENGTH = 200
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}", re.ASCII)
_AT = "2026-11-20T15:04:05.123456Z"
_URL = "https://paper-api.alpaca.markets"
_CREDENTIALS_TEXT = (
    "alpaca: `key_id` and `secret_key`; zerodha: `api_key` and `api_secret`; ibkr: empty. Never shown again"
)
_CREDENTIALS = {"key_id": "PK0123456789", "secret_key": "your-secret"}
_STATUS_TEXT = (
    "`new`: not yet connected; `awaiting_live`: a second person must enable it; "
    "`connected`; `down`: the broker does not respond; `refused`: see `error`"
)


def _validate_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        message = (
            "Must be 1 to 60 letters, digits, dots, hyphens and underscores, the first a letter or digit."
        )
        raise PydanticCustomError("connection_name", message)
    return value


ConnectionName = Annotated[
    str, AfterValidator(_validate_name), WithJsonSchema({"type": "string", "pattern": f"^{_NAME.pattern}$"})
]
BrokerNameInput = Annotated[BrokerName, BeforeValidator(to_lower_case)]
MAX_PEOPLE = 200
AccountNumber = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(clean)]
BrokerAddress = Annotated[str, Field(min_length=1, max_length=MAX_ADDRESS_LENGTH), AfterValidator(clean)]
CredentialFields = Annotated[dict[str, str], Field(max_length=4)]


class ConnectionIn(RequestModel):
    """A new connection to an account at a broker."""

    name: ConnectionName = Field(description="Your name of the connection", examples=["alpaca-paper"])
    broker: BrokerNameInput = Field(description="The broker", examples=["alpaca"])
    live: bool = Field(
        False,
        description="Whether it is for a live account, which a second person must enable. It never changes",
        examples=[False],
    )
    account: AccountNumber | None = Field(
        None,
        description="The broker's number of the account; null: the one that the broker returns",
        examples=["PA12345"],
    )
    base_url: BrokerAddress | None = Field(
        None,
        description="The broker's address; ibkr: host:port. null: the broker's paper or live address",
        examples=[_URL],
    )
    credentials: CredentialFields = Field(repr=False, description=_CREDENTIALS_TEXT, examples=[_CREDENTIALS])

    def to_parameters(self) -> NewConnection:
        """Return the service's parameters."""
        return NewConnection(self.name, self.broker, self.live, self.account, self.base_url, self.credentials)


_PEOPLE_TEXT = (
    "People who may trade over the connection, by their `actor` names; null: "
    "everybody whose role may place orders. Keys that act for no person are not "
    "restricted"
)
PersonNames = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=300)]], Field(max_length=MAX_PEOPLE)
]


class ConnectionPatch(Patch):
    """Changes of a connection. A field that you leave out keeps its value."""

    account: AccountNumber = omit_field()
    base_url: BrokerAddress = omit_field()
    credentials: CredentialFields = omit_field(is_visible=False)
    people: PersonNames | None = Field(None, description=_PEOPLE_TEXT, examples=[["alice@example.com"]])

    def to_changes(self) -> dict[str, Any]:
        """Return the fields to change, the people as a sorted JSON array."""
        values = {name: getattr(self, name) for name in self.model_fields_set}
        if self.people is not None:
            values["people"] = json.dumps(sorted(set(self.people)))
        return values


class ConnectionOut(BaseModel):
    """A connection without its credentials."""

    name: str = Field(description="Name of the connection", examples=["alpaca-paper"])
    broker: Literal["alpaca", "ibkr", "zerodha"] = Field(description="The broker", examples=["alpaca"])
    live: bool = Field(description="Whether it is for a live account", examples=[False])
    account: str | None = Field(description="The broker's number; null: not known yet", examples=["PA12345"])
    base_url: str = Field(description="The broker's address", examples=[_URL])
    portfolio_name: str | None = Field(
        description="Name of the portfolio that uses it; null: none", examples=["Growth"]
    )
    status: Literal["new", "awaiting_live", "connected", "down", "refused"] = Field(
        description=_STATUS_TEXT, examples=["connected"]
    )
    error: str | None = Field(
        description="Why orders are not sent; null: they are", examples=["The broker did not answer."]
    )
    connected_since: str | None = Field(
        description="Time of the last connect, in UTC; null: not connected", examples=[_AT]
    )
    last_event_at: str | None = Field(
        description="Time of the broker's last event, in UTC; null: none", examples=[_AT]
    )
    lag_seconds: float | None = Field(
        description="Seconds since the broker last responded; null: never", examples=[0.412]
    )
    requests_left: int | None = Field(
        description="Requests that the rate limit allows at once; null: unknown", examples=[187]
    )
    circuit: Literal["closed", "open", "half_open"] = Field(
        description="The circuit breaker. `open`: nothing is sent until the next attempt; `half_open`: that "
        "attempt is under way",
        examples=["closed"],
    )
    failures: int = Field(description="Number of consecutive failures of the broker", examples=[0])
    failure_kind: Literal["not_reached", "stream_down", "no_answer"] | None = Field(
        description="Kind of the last failure; null: none", examples=[None]
    )
    circuit_opened_at: str | None = Field(
        description="Time in UTC since which the circuit is not closed; null: it is", examples=[None]
    )
    next_attempt_at: str | None = Field(
        description="Time in UTC of the next attempt; null: none is waiting", examples=[None]
    )
    session_expires_at: str | None = Field(
        description="End of the broker's session, in UTC; null: it does not end", examples=[None]
    )
    live_enabled_by: str | None = Field(
        description="Person who enabled live trading; null: nobody", examples=["bob@example.com"]
    )
    live_enabled_at: str | None = Field(
        description="Time when live trading was enabled, in UTC; null: it is not", examples=[_AT]
    )
    people: list[str] | None = Field(description=_PEOPLE_TEXT, examples=[["alice@example.com"]])
    created_by: str = Field(description="Person or key that created it", examples=["alice@example.com"])
    created_at: str = Field(description="Time of creation, in UTC", examples=[_AT])
    updated_at: str = Field(description="Time of the last change over the API, in UTC", examples=[_AT])


class ConnectionCheckOut(BaseModel):
    """The result of a test of a connection."""

    ok: bool = Field(description="Whether orders can be sent", examples=[True])
    account: str | None = Field(
        description="Account that the broker returned; null: none", examples=["PA12345"]
    )
    paper: bool | None = Field(description="Whether it is a paper account; null: unknown", examples=[True])
    latency_ms: int = Field(description="Milliseconds until the response or the failure", examples=[84])
    error: str | None = Field(description="Why orders cannot be sent; null: they can", examples=[None])


class BrokerSessionIn(RequestModel):
    """The result of a person's login at the broker's page."""

    request_token: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(clean)] = Field(
        repr=False,
        description="The `request_token` in the address to which the broker redirected the browser. "
        "It is valid once, for a few minutes",
        examples=["your-request-token"],
    )


class BrokerSessionOut(BaseModel):
    """A session at a broker."""

    expires_at: str = Field(description="Time until which orders can be sent, in UTC", examples=[_AT])


class BrokerLogInOut(BaseModel):
    """The daily login at a broker."""

    login_url: str = Field(
        description="The broker's page where a person logs in. It contains the API key",
        examples=["https://kite.zerodha.com/connect/login?v=3&api_key=your-api-key"],
    )
    expires_at: str | None = Field(
        description="End of the current session, in UTC; null: there is none", examples=[_AT]
    )
