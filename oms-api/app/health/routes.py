"""Routes of health checks, which need no key, and of metrics, which do."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Response
from sqlalchemy import Connection

from app import __version__
from app.chain_verification.queries import ChainState
from app.errors import Unavailable
from app.health.dependencies import HealthComponents, HealthComponentsDep
from app.health.rules import (
    ComponentHealth,
    describe_chains,
    describe_jobs,
    describe_redis,
    describe_sandbox,
    summarize_components,
)
from app.health.schemas import DetailedHealthOut, HealthOut, ReadinessOut
from app.health.service import (
    PortfolioGauges,
    count_pending,
    find_chain_report,
    find_sandbox_layers,
    read_broken_chains,
    set_chain_metrics,
    set_job_metrics,
)
from app.http.responses import build_json_response, document_responses
from app.identity.dependencies.authentication import ReadBooksCaller, require_permission
from app.identity.rules.access import Caller, Operation
from app.jobs.rules.schedule import JobReport
from app.metrics import CONTENT_TYPE, Metrics
from app.timestamps import format_timestamp

T = TypeVar("T")

SERVICE = "oms-api"
CHECK_TIMEOUT_SECONDS = 3.0
_DETAIL_BY_COMPONENT = {
    "database": "The database does not answer.",
    "migrations": "The tables are not those of this version. Run `python -m app.migrate`.",
    "writer": "The writer has stopped. Restart the service.",
}
_CHECK_NAMES = tuple(_DETAIL_BY_COMPONENT)

router = APIRouter(tags=["health"])
metrics_router = APIRouter(tags=["health"])


@router.head("/health", include_in_schema=False)
@router.get("/health", summary="Check health", responses={200: {"model": HealthOut}})
async def health(components: HealthComponentsDep) -> Response:
    """Respond while the process runs."""
    fields = {
        "status": "healthy",
        "service": SERVICE,
        "version": __version__,
        "timestamp": format_timestamp(components.now()),
    }
    return build_json_response(fields)


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", summary="Check liveness", responses={200: {"model": HealthOut}})
async def live(components: HealthComponentsDep) -> Response:
    """Respond while the process runs. Restart the process if this fails."""
    return await health(components)


@router.head("/health/ready", include_in_schema=False)
@router.get(
    "/health/ready",
    summary="Check readiness",
    responses={200: {"model": ReadinessOut}, 503: {"model": ReadinessOut}},
)
async def ready(components: HealthComponentsDep) -> Response:
    """Check whether trades can be recorded.

    Returns 503 while the database, its schema or the writer is unavailable.
    """
    current, row_security = await _check_database(components)
    problem = components.find_file_problem()
    state = (current is not None and problem is None, bool(current), components.writer_is_alive())
    is_ready = all(state)
    checks = {name: "ok" if holds else "failed" for name, holds in zip(_CHECK_NAMES, state, strict=True)}
    fields: dict[str, str | None] = {
        "status": "ready" if is_ready else "not ready",
        **checks,
        "row_level_security": row_security,
    }
    fields["rate_limits"] = components.rate_limits()
    failed_checks = [_DETAIL_BY_COMPONENT[name] for name in _CHECK_NAMES if checks[name] == "failed"]
    fields["detail"] = problem or next(iter(failed_checks), None)
    return build_json_response(fields, 200 if is_ready else 503)


@metrics_router.get("/api/health/detailed", include_in_schema=False)
@router.get(
    "/health/detailed",
    summary="Get the state of each component",
    **document_responses(200, DetailedHealthOut),
)
async def detailed(caller: ReadBooksCaller, components: HealthComponentsDep) -> Response:
    """Get the state of the database, writer, price feed, background jobs, webhooks, alerts and brokers.

    `brokers` counts the connections of all tenants. The connections of your tenant follow by name.

    It also states whether the hash chains are intact, and in which layers of protection strategies run.

    The status is always 200 for a valid key.
    """
    components_by_name = await _describe_components(components)
    status = summarize_components(components_by_name)
    layers = await asyncio.to_thread(find_sandbox_layers)
    serialized_components = {
        name: _serialize_component(component) for name, component in components_by_name.items()
    }
    serialized_components["sandbox"] = _serialize_component(
        describe_sandbox(layers, is_on=components.uses_sandbox)
    ) | {"layers": layers}
    connections = await _read_in_time(
        components, lambda connection: components.describe_connections(connection, caller.tenant_id)
    )
    serialized_components |= {
        name: _serialize_component(component) for name, component in (connections or {}).items()
    }
    fields = {
        "status": status,
        "execution_engine_status": "stopped" if status == "down" else "running",
        "components": serialized_components,
    }
    return build_json_response(fields)


@metrics_router.get(
    "/metrics",
    summary="Get metrics",
    response_class=Response,
    **document_responses(200, {"content": {"text/plain": {"schema": {"type": "string"}}}}),
)
async def metrics(
    _: Annotated[Caller, Depends(require_permission(Operation.READ_METRICS))], components: HealthComponentsDep
) -> Response:
    """Get counts and timings in Prometheus' format.

    You need a key of the first tenant with the scope `read`, because the metrics cover all tenants.
    """
    reports = await _report_jobs(components) or ()
    set_job_metrics(components.metrics, reports)
    chains = await _read_in_time(components, read_broken_chains)
    if chains is not None:
        set_chain_metrics(components.metrics, reports, chains)
    for kind, count in (await _count_pending(components)).items():
        components.metrics.set_pending(kind, count)
    for name, component in (await _describe_components(components)).items():
        components.metrics.set_component(name, is_degraded=component.status in {"degraded", "down"})
    _set_portfolio_values(
        components.metrics, await _read_in_time(components, components.list_portfolio_values) or ()
    )
    return Response(components.metrics.render(), media_type=CONTENT_TYPE)


def _set_portfolio_values(metrics: Metrics, portfolios: Sequence[PortfolioGauges]) -> None:
    """Set the metrics of portfolios. They lose digits, as all samples of Prometheus do."""
    metrics.portfolios.clear()
    for portfolio in portfolios:
        value = portfolio.value
        figures = map(float, (value.equity, value.day_pnl, value.total_pnl))
        metrics.portfolios.set_values((portfolio.tenant, portfolio.name, portfolio.currency), *figures)


async def _count_pending(components: HealthComponents) -> dict[str, int]:
    """Return the numbers of pending signals and webhook deliveries. Empty if the database is away."""
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            return await components.readers.run(count_pending)
    except (TimeoutError, Unavailable):
        return {}


def _serialize_component(component: ComponentHealth) -> dict[str, Any]:
    fields = component._asdict()
    if component.backlog is None:
        del fields["backlog"]
    return fields


async def _describe_components(components: HealthComponents) -> dict[str, ComponentHealth]:
    """Return the state of each component, in the order of the document."""
    reports = await _report_jobs(components)
    webhooks = await _read_in_time(components, components.describe_webhooks) if reports is not None else None
    brokers = await _read_in_time(components, components.describe_brokers) if reports is not None else None
    chains = await _read_in_time(components, read_broken_chains) if reports is not None else None
    problem = components.find_file_problem()
    if reports is None or problem is not None:
        database, jobs = (
            ComponentHealth("down", None, problem or _DETAIL_BY_COMPONENT["database"]),
            ComponentHealth("down"),
        )
    else:
        database, jobs = ComponentHealth("ok"), describe_jobs(reports)
    is_writing = components.writer_is_alive()
    return {
        "database": database,
        "writer": ComponentHealth("ok")
        if is_writing
        else ComponentHealth("down", None, _DETAIL_BY_COMPONENT["writer"]),
        "market_data": components.describe_feed(),
        "duties": jobs,
        "worker": jobs if components.has_worker else ComponentHealth("off"),
        "redis": _describe_redis(components),
        "webhooks": webhooks or ComponentHealth("down"),
        "alerts": components.describe_alerts(reports or ()),
        "brokers": brokers or ComponentHealth("down"),
        "chains": _describe_chains(components, reports or (), chains),
    }


def _describe_chains(
    components: HealthComponents, reports: Sequence[JobReport], chains: ChainState | None
) -> ComponentHealth:
    if chains is None:
        return ComponentHealth("down")
    report = find_chain_report(reports)
    verified_at = None if report is None else report.state.finished_at
    age = None if verified_at is None else (components.now() - verified_at).total_seconds()
    return describe_chains(report, age, chains.broken)


def _describe_redis(components: HealthComponents) -> ComponentHealth:
    problem = components.signal_channel.problem
    age = None if problem is None else round((components.now() - problem.since).total_seconds(), 3)
    reason = None if problem is None else problem.reason
    return describe_redis(components.rate_limits(), reason, age, is_used=components.has_redis)


async def _report_jobs(components: HealthComponents) -> list[JobReport] | None:
    """Return the reports of the jobs, None if the database does not answer."""
    return await _read_in_time(components, components.report_jobs)


async def _read_in_time(components: HealthComponents, read: Callable[[Connection], T]) -> T | None:
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            return await components.readers.run(read)
    except (Unavailable, TimeoutError):
        return None


async def _check_database(components: HealthComponents) -> tuple[bool | None, str]:
    """Return whether the schema is of this version, and its row-level security.

    The first is None if the database is unavailable.
    """
    try:
        async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
            return await components.readers.run(
                lambda connection: (components.is_current(connection), components.row_security(connection))
            )
    except (Unavailable, TimeoutError):
        return None, "unknown"
