"""Check whether Slack and the OMS respond. The results of `/health` are at most 15 seconds old."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.errors import QueueFull, SlackError
from app.services.dependencies import Services

MAX_AGE_SECONDS = 15.0
REFRESH_AGE_SECONDS = 7.5  # an older result is refreshed in the background
FAILURE_REFRESH_AGE_SECONDS = 2.0  # failures are rechecked sooner: both services often start together
TIMEOUT_SECONDS = 3.0  # the health check of the container image waits 4


@dataclass(frozen=True)
class ProbeResult:
    """The result of a check, and when it started in seconds of the clock."""

    is_well: bool
    asked_at: float


class ServiceProbe:
    """Check one service and keep the last result. At most one check runs at a time."""

    def __init__(self, is_well: Callable[[], bool], services: Services, clock: Callable[[], float]):
        self._is_well = is_well
        self._workers = services.health_workers
        self._clock = clock
        self._lock = threading.Lock()
        self._result: ProbeResult | None = None
        self._running: threading.Event | None = None

    def find_current_result(self) -> ProbeResult | None:
        """Return the last result. None if there is none or it is too old."""
        result = self._result
        return None if result is None or self._compute_age(result) > MAX_AGE_SECONDS else result

    def is_due(self, result: ProbeResult) -> bool:
        """Return whether the result is old enough to be refreshed."""
        limit = REFRESH_AGE_SECONDS if result.is_well else FAILURE_REFRESH_AGE_SECONDS
        return self._compute_age(result) >= limit

    def refresh(self) -> threading.Event:
        """Start a check on a thread unless one is running. The event is set when it has ended."""
        with self._lock:
            if self._running is not None and not self._running.is_set():
                return self._running
            running = self._running = threading.Event()
        try:
            self._workers.submit("health", self._run_and_report_end, running)
        except QueueFull:
            running.set()
        return running

    def run(self) -> None:
        """Check the service."""
        asked_at = self._clock()
        self._result = ProbeResult(self._is_well(), asked_at)

    def compute_age_seconds(self, result: ProbeResult | None) -> float:
        """Return the age of a result, 0 if there is none."""
        return 0.0 if result is None else self._compute_age(result)

    def _run_and_report_end(self, running: threading.Event) -> None:
        try:
            self.run()
        finally:
            running.set()

    def _compute_age(self, result: ProbeResult) -> float:
        return self._clock() - result.asked_at


class Health:
    """Build the response of `/health`.

    Only the first request normally waits for the checks.
    """

    def __init__(
        self,
        services: Services,
        clock: Callable[[], float] = time.monotonic,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ):
        def is_slack_available() -> bool:
            try:
                services.slack.identify()
            except SlackError:
                return False
            return True

        self._probes = {
            "slack": ServiceProbe(is_slack_available, services, clock),
            "oms": ServiceProbe(services.oms.is_ready, services, clock),
        }
        self._scopes = services.slack.scopes
        self._timeout_seconds = timeout_seconds

    def report(self) -> dict[str, object]:
        """Return `ok` or `failing` for the bot, Slack and the OMS, and the age of the oldest result.

        A service without a result from the last 15 seconds is checked first. It is `failing` if the check
        exceeds the timeout. `missing_scopes` are those of the manifest that Slack did not grant, if any.
        """
        self._wait_for_probes(
            [probe.refresh() for probe in self._probes.values() if probe.find_current_result() is None]
        )
        results = {name: probe.find_current_result() for name, probe in self._probes.items()}
        statuses = {
            name: "ok" if result and result.is_well else "failing" for name, result in results.items()
        }
        age = max(self._probes[name].compute_age_seconds(result) for name, result in results.items())
        for name, result in results.items():
            if result and self._probes[name].is_due(result):
                self._probes[name].refresh()
        about_bot: dict[str, object] = {"status": "ok", "service": "slack-bot", "bot": "ok"}
        missing = {"missing_scopes": list(self._scopes.missing)} if self._scopes.missing else {}
        return about_bot | statuses | missing | {"age_seconds": round(age, 1)}

    def refresh(self) -> None:
        """Start a check of both services on threads."""
        for probe in self._probes.values():
            probe.refresh()

    def check_services(self) -> None:
        """Check both services."""
        for probe in self._probes.values():
            probe.run()

    def _wait_for_probes(self, running: list[threading.Event]) -> None:
        until = time.monotonic() + self._timeout_seconds
        for event in running:
            event.wait(max(0.0, until - time.monotonic()))
