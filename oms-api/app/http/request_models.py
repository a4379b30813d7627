"""Base classes of the models of requests: bodies and query parameters."""

from pydantic import BaseModel, ConfigDict


class RequestModel(BaseModel):
    """A body or a query that rejects unknown fields."""

    model_config = ConfigDict(extra="forbid")


class FrozenRequestModel(RequestModel):
    """A `RequestModel` whose fields cannot be assigned."""

    model_config = ConfigDict(frozen=True)
