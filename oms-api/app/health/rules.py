"""The state of the components of the service."""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, NamedTuple

from app.jobs.rules.schedule import JobReport
from app.sandbox.rules.layers import Layer, find_missing_layers

ComponentStatus = Literal["ok", "degraded", "down", "off"]
MAX_LAG_SECONDS = 60.0  # a job that is later is run by no process
_VITAL_COMPONENTS = ("database", "writer")
_CONNECTION_STATUSES: dict[str, ComponentStatus] = {"connected": "ok", "down": "down", "refused": "down"}


class ComponentHealth(NamedTuple):
    """The health of a component: its status, the age of its data, its last error and its pending work."""

    status: ComponentStatus
    age_seconds: float | None = None
    last_error: str | None = None
    backlog: int | None = None


def describe_jobs(reports: Sequence[JobReport]) -> ComponentHealth:
    """Return the component of the jobs: degraded if one failed last time, or is late."""
    age = max((report.lag_seconds for report in reports), default=0.0)
    errors = [
        f"{job_report.state.name}: {job_report.state.error}"
        for job_report in reports
        if job_report.state.error is not None
    ]
    is_late = age > MAX_LAG_SECONDS or any(report.state.started_at is None for report in reports)
    return ComponentHealth("degraded" if errors or is_late else "ok", round(age, 3), next(iter(errors), None))


def describe_alerts(
    price_age_seconds: float | None, last_error: str | None, backlog: int, portfolios: JobReport | None
) -> ComponentHealth:
    """Return the component of alerts: price alerts of this process, portfolio alerts of the lease holder.

    `price_age_seconds` is the time since alerts of prices were checked last, None before the first time.
    """
    age, error = price_age_seconds or 0.0, last_error
    if portfolios is not None:
        age, error = max(age, portfolios.lag_seconds), error or portfolios.state.error
    is_late = age > MAX_LAG_SECONDS or price_age_seconds is None
    return ComponentHealth("degraded" if error or is_late else "ok", round(age, 3), error, backlog)


def describe_webhooks(
    endpoints: int, backlog: int, age_seconds: float, last_error: str | None, *, has_process: bool
) -> ComponentHealth:
    """Return the component of webhooks. It is degraded if no process delivers, and off without endpoints.

    An endpoint that fails does not degrade it: the backlog, its age and the last error show that.
    """
    if not endpoints:
        return ComponentHealth("off", backlog=backlog)
    error = last_error if has_process else "No process delivers. Start the service, or a worker."
    return ComponentHealth("ok" if has_process else "degraded", round(age_seconds, 3), error, backlog)


def describe_chains(
    report: JobReport | None, age_seconds: float | None, broken_count: int
) -> ComponentHealth:
    """Return the component of the hash chains: degraded if any is broken, or their verification is late.

    `report` is of the job that verifies them, `age_seconds` the time since all of them were correct, None
    before the first time.
    """
    age = None if age_seconds is None else round(age_seconds, 3)
    if broken_count:
        error = f"Hash chains that are broken: {broken_count}. Run `python -m app.verify`."
        return ComponentHealth("degraded", age, error)
    if report is None or age is None:
        return ComponentHealth("degraded", None, "The hash chains were never verified.")
    is_late = report.lag_seconds > MAX_LAG_SECONDS
    return ComponentHealth("degraded" if report.state.error or is_late else "ok", age, report.state.error)


def describe_brokers(statuses: Sequence[str], open_circuits: int = 0) -> ComponentHealth:
    """Return the component of connections to brokers, given the status of each. It names no tenant's one.

    `open_circuits` is how many circuit breakers are not closed.

    Connections that wait for a person to enable live trading do not count.
    """
    used_statuses = [status for status in statuses if status != "awaiting_live"]
    if not used_statuses:
        return ComponentHealth("off")
    failed_statuses = [status for status in used_statuses if status in {"down", "refused"}]
    error = (
        f"{len(failed_statuses)} of {len(used_statuses)} broker connections do not work."
        if failed_statuses
        else None
    )
    if error is not None and open_circuits:
        error += f" Circuit breakers that are not closed: {open_circuits}."
    return ComponentHealth("degraded" if failed_statuses else "ok", None, error)


def describe_connection(status: str, age_seconds: float | None, error: str | None) -> ComponentHealth:
    """Return the component of one connection to a broker, by its status and the age of the last answer.

    It is off before its first connect, and while a person must enable live trading.
    """
    return ComponentHealth(_CONNECTION_STATUSES.get(status, "off"), age_seconds, error)


def describe_feed(silence_seconds: float | None, max_silence_seconds: float) -> ComponentHealth:
    """Return the component of a price feed. None: its prices are never stale."""
    is_stale = silence_seconds is not None and silence_seconds > max_silence_seconds
    return ComponentHealth("degraded" if is_stale else "ok", silence_seconds)


def describe_redis(
    rate_limits: str, problem: str | None = None, age_seconds: float | None = None, *, is_used: bool
) -> ComponentHealth:
    """Return the component of Redis by the state of the rate limits, which only a connection shares.

    `problem` is why no signals arrive over it, None if they do, and `age_seconds` since when.
    """
    if not is_used:
        return ComponentHealth("off")
    if problem is not None:
        return ComponentHealth("degraded", age_seconds, f"No signals arrive over Redis: {problem}.")
    return ComponentHealth("degraded" if rate_limits == "per process" else "ok")


def describe_sandbox(layers: Collection[Layer], *, is_on: bool) -> ComponentHealth:
    """Return the component of the sandbox of strategies: off by the setting, or where layers are missing."""
    if not is_on:
        return ComponentHealth(
            "off", None, "STRATEGY_SANDBOX=off: strategies run in the process of the service."
        )
    missing = find_missing_layers(layers)
    if not missing:
        return ComponentHealth("ok")
    return ComponentHealth("off", None, f"Untrusted strategies are refused without {' and '.join(missing)}.")


def summarize_components(components: Mapping[str, ComponentHealth]) -> ComponentStatus:
    """Return the status of the service: down if it cannot record, degraded if a component is not ok."""
    if any(components[name].status == "down" for name in _VITAL_COMPONENTS):
        return "down"
    is_degraded = any(component.status in {"degraded", "down"} for component in components.values())
    return "degraded" if is_degraded else "ok"
