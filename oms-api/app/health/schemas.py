"""Response bodies of health checks."""

from typing import Literal

from pydantic import BaseModel, Field

from app.health.rules import ComponentStatus
from app.rate_limit import RateLimitScope

CheckStatus = Literal["ok", "failed"]


class HealthOut(BaseModel):
    """The service responds."""

    status: Literal["healthy"]
    service: str = Field(examples=["oms-api"])
    version: str = Field(examples=["0.1.0"])
    timestamp: str = Field(examples=["2026-11-20T15:04:05.123456Z"])


class ComponentOut(BaseModel):
    """The state of a component."""

    status: ComponentStatus = Field(examples=["ok"], description="`off`: it is not in use")
    age_seconds: float | None = Field(
        examples=[0.25],
        description="Age in seconds; null where nothing ages. `duties`, `worker`: delay of the latest job. "
        "`market_data`: time since the last price. `webhooks`: wait of the oldest delivery. `alerts`: time "
        "since the last check. `chains`: time since the last verification. `redis`: time since signals "
        "stopped. `broker:name`: time since the last response",
    )
    last_error: str | None = Field(
        examples=["The writer has stopped. Restart the service."],
        description="Current problem, or the error of the last run; null: none",
    )
    backlog: int | None = Field(
        None,
        examples=[0],
        description="Due deliveries to webhooks, or transitions of alerts to store; absent elsewhere",
    )
    layers: list[str] | None = Field(
        None,
        examples=[["Landlock", "seccomp"]],
        description="Layers of protection in which strategies run; only for `sandbox`",
    )


class DetailedHealthOut(BaseModel):
    """The state of each component."""

    status: Literal["ok", "degraded", "down"] = Field(
        examples=["ok"],
        description="`down`: nothing can be recorded; `degraded`: a component is late or failed",
    )
    execution_engine_status: Literal["running", "stopped"] = Field(
        examples=["running"], description="Whether orders are executed"
    )
    components: dict[str, ComponentOut] = Field(
        description="`database`, `writer`, `market_data`, `duties`, `worker`, `redis`, `webhooks`, `alerts`, "
        "`brokers`, `chains` (hash chains of the audit log and the ledger), `sandbox`, and `broker:name` for "
        "each broker connection of the tenant"
    )


class ReadinessOut(BaseModel):
    """Whether the service can record trades, by check."""

    status: Literal["ready", "not ready"]
    database: CheckStatus
    migrations: CheckStatus
    writer: CheckStatus
    row_level_security: Literal["enforced", "enforced on the owner", "bypassed", "none", "unknown"] = Field(
        description="Row-level security of PostgreSQL. `none`: the database is SQLite"
    )
    detail: str | None = Field(
        description="If the service is not ready: the problem, and what to do",
        examples=["The disk that holds the database is full. Make room on it."],
    )
    rate_limits: RateLimitScope = Field(
        description="Whether processes share their rate limits; `per process`: they do not, or Redis "
        "is unavailable"
    )
