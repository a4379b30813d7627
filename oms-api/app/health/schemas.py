"""Health on the wire."""

from typing import Literal

from pydantic import BaseModel, Field

Check = Literal["ok", "failed"]


class HealthOut(BaseModel):
    """The service answers."""

    status: Literal["healthy"]
    service: str = Field(examples=["oms-api"])
    version: str = Field(examples=["0.1.0"])
    timestamp: str = Field(examples=["2026-11-20T15:04:05.123456Z"])


class ReadinessOut(BaseModel):
    """Whether trades can be taken, check by check."""

    status: Literal["ready", "not ready"]
    database: Check
    migrations: Check
    writer: Check
