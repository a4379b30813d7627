"""Routes of health checks, which need no key, and of metrics, which do."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from app import __version__
from app.clock import iso
from app.errors import Unavailable
from app.health.dependencies import HealthComponents, TheHealthComponents
from app.health.schemas import HealthOut, ReadinessOut
from app.identity.dependencies import require_permission
from app.identity.rules.access import Caller, Operation
from app.metrics import CONTENT_TYPE
from app.wire.answers import answer, responses

SERVICE = "oms-api"
PATIENCE_SECONDS = 3.0
_DETAILS = {
    "database": "The database does not answer.",
    "migrations": "The tables are not those of this version. Run `python -m app.migrate`.",
    "writer": "The writer has stopped. Restart the service.",
}
_CHECKS = tuple(_DETAILS)

router = APIRouter(tags=["health"])
metrics_router = APIRouter(tags=["health"])


@router.head("/health", include_in_schema=False)
@router.get("/health", summary="Check health", responses={200: {"model": HealthOut}})
async def health(components: TheHealthComponents) -> Response:
    """Respond while the process runs."""
    facts = {
        "status": "healthy",
        "service": SERVICE,
        "version": __version__,
        "timestamp": iso(components.now()),
    }
    return answer(facts)


@router.head("/health/live", include_in_schema=False)
@router.get("/health/live", summary="Check liveness", responses={200: {"model": HealthOut}})
async def live(components: TheHealthComponents) -> Response:
    """Respond while the process runs. Restart the process if this fails."""
    return await health(components)


@router.head("/health/ready", include_in_schema=False)
@router.get(
    "/health/ready",
    summary="Check readiness",
    responses={200: {"model": ReadinessOut}, 503: {"model": ReadinessOut}},
)
async def ready(components: TheHealthComponents) -> Response:
    """Check whether trades can be recorded.

    Returns 503 while the database, its schema or the writer is unavailable.
    """
    current, row_security = await _check_database(components)
    problem = components.find_file_problem()
    state = (current is not None and problem is None, bool(current), components.writer_is_alive())
    is_ready = all(state)
    checks = {name: "ok" if holds else "failed" for name, holds in zip(_CHECKS, state, strict=True)}
    facts: dict[str, str | None] = {
        "status": "ready" if is_ready else "not ready",
        **checks,
        "row_level_security": row_security,
    }
    facts["rate_limits"] = components.rate_limits()
    failed = [_DETAILS[name] for name in _CHECKS if checks[name] == "failed"]
    facts["detail"] = problem or next(iter(failed), None)
    return answer(facts, 200 if is_ready else 503)


@metrics_router.get(
    "/metrics",
    summary="Get metrics",
    response_class=Response,
    responses=responses(200, {"content": {"text/plain": {"schema": {"type": "string"}}}}),
)
async def metrics(
    _: Annotated[Caller, Depends(require_permission(Operation.READ_METRICS))], components: TheHealthComponents
) -> Response:
    """Get counts and timings in Prometheus' format.

    This needs a key of the first tenant with the scope `read`, since the metrics cover all tenants.
    """
    return Response(components.metrics.render(), media_type=CONTENT_TYPE)


async def _check_database(components: HealthComponents) -> tuple[bool | None, str]:
    """Return whether the schema is of this version, and its row-level security.

    The first is None if the database is unavailable.
    """
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await components.readers.run(
                lambda connection: (
                    components.is_current(connection),
                    components.row_security(connection),
                )
            )
    except (Unavailable, TimeoutError):
        return None, "unknown"
