"""The state of the components of the service."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from app.duties.rules.schedule import DutyReport

ComponentStatus = Literal["ok", "degraded", "down", "off"]
MAX_LAG_SECONDS = 60.0  # a duty that is later is not run by anybody
_VITAL = ("database", "writer")


class Component(NamedTuple):
    """A component: its status, how old what it knows is in seconds, and its last error."""

    status: ComponentStatus
    age_seconds: float | None = None
    last_error: str | None = None


def describe_duties(reports: Sequence[DutyReport]) -> Component:
    """Return the component of the duties: degraded if one failed last time, or is late."""
    age = max((report.lag_seconds for report in reports), default=0.0)
    errors = [f"{one.state.name}: {one.state.error}" for one in reports if one.state.error is not None]
    is_late = age > MAX_LAG_SECONDS or any(report.state.started_at is None for report in reports)
    return Component("degraded" if errors or is_late else "ok", round(age, 3), next(iter(errors), None))


def describe_feed(silence_seconds: float | None, max_silence_seconds: float) -> Component:
    """Return the component of a price feed. None: its prices are never stale."""
    is_stale = silence_seconds is not None and silence_seconds > max_silence_seconds
    return Component("degraded" if is_stale else "ok", silence_seconds)


def describe_redis(rate_limits: str, *, is_used: bool) -> Component:
    """Return the component of Redis by the state of the rate limits, which only a connection shares."""
    if not is_used:
        return Component("off")
    return Component("degraded" if rate_limits == "per process" else "ok")


def summarize(components: Mapping[str, Component]) -> ComponentStatus:
    """Return the status of the service: down if it cannot record, degraded if a component is not ok."""
    if any(components[name].status == "down" for name in _VITAL):
        return "down"
    is_degraded = any(one.status in {"degraded", "down"} for one in components.values())
    return "degraded" if is_degraded else "ok"
