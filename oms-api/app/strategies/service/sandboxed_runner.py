"""Run the code of a strategy in a sandbox: a separate process with restricted rights.

The process gets the inputs, and responds with the strategy's orders and state. It has no connection to the
service or the database. Its responses are validated like requests from outside.
"""

import logging

from app.clock import monotonic_seconds
from app.sandbox.errors import InvalidFrame, SandboxError
from app.sandbox.rules.limits import SandboxLimits
from app.sandbox.rules.sources import StrategySource
from app.sandbox.service.children import Child, SandboxSpec, launch_child
from app.sandbox.service.requests import send_request
from app.strategies.errors import MessageLimitExceeded
from app.strategies.rules.actions import Reaction
from app.strategies.rules.journal import JournalInput
from app.strategies.rules.reaction_frames import ActionScope, pack_input, parse_reaction
from app.strategies.service.runner import RunnerSpec
from app.text import replace_unprintable

PROGRAM = "app.strategies.service.sandbox_child:prepare"
# The time of other strategies is not at stake: each has a separate thread and process.
LIMITS = SandboxLimits(
    callback_wall_seconds=10, response_seconds=10, response_wall_seconds=20, log_bytes=4_000,
    frame_bytes=4_000_000,
)  # fmt: skip
MAX_LOG_CHARACTERS = 64_000  # of one strategy in a minute
_MINUTE = 60.0
_LOG = logging.getLogger("strategy")


class SandboxedRunner:
    """Runs one strategy in a child process, which is killed at the end. See `StrategyRunner`."""

    def __init__(self, source: StrategySource, spec: RunnerSpec, limits: SandboxLimits = LIMITS) -> None:
        """Start the process. Raises SandboxError."""
        self._spec, self._symbols = spec, dict.fromkeys(spec.symbols)
        self._log = _LogBudget(spec.name)
        options = {
            "parameters": dict(spec.parameters), "id": spec.strategy_id, "name": spec.name,
            "symbols": sorted(spec.symbols),
        }  # fmt: skip
        self._child = launch_child(SandboxSpec(source, PROGRAM, options), limits)
        try:
            self.uses_quotes = self._receive_start()
        except BaseException:
            self._child.kill()
            raise

    @property
    def child(self) -> Child:
        """The process of the strategy."""
        return self._child

    def deliver(self, journal_input: JournalInput) -> Reaction:
        """Send an input, and return the reaction. Raises SandboxError: the process has ended then."""
        reply = send_request(self._child, pack_input(journal_input))
        self._log.write(reply.log)
        scope = ActionScope(
            self._spec.name,
            self._symbols,
            f"{self._spec.strategy_id}-{journal_input.run}-{journal_input.sequence}",
        )
        try:
            return parse_reaction(reply.fields, journal_input.sequence, scope)
        except (SandboxError, MessageLimitExceeded):
            self._child.kill()
            raise

    def close(self) -> None:
        """Kill the process."""
        self._child.kill()

    def _receive_start(self) -> bool:
        """Wait until the strategy is loaded, and return whether it uses quotes."""
        frame = self._child.receive()
        uses_quotes, log = frame.fields.get("uses_quotes"), frame.fields.get("log")
        if frame.kind != "loaded" or not isinstance(uses_quotes, bool) or not isinstance(log, str):
            raise InvalidFrame("The strategy process did not report that the strategy is loaded.")
        self._log.write(log)
        return uses_quotes


class _LogBudget:
    """Logs the output of a strategy, up to a limit in each minute."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._end = self._remaining_seconds = 0.0

    def write(self, text: str) -> None:
        """Log lines of a strategy without control characters."""
        if not text:
            return
        if monotonic_seconds() >= self._end:
            self._end, self._remaining_seconds = monotonic_seconds() + _MINUTE, MAX_LOG_CHARACTERS
        if self._remaining_seconds <= 0:
            return
        for line in text[: int(self._remaining_seconds)].splitlines():
            _LOG.info("%s: %s", self._name, replace_unprintable(line))
        self._remaining_seconds -= len(text)
        if self._remaining_seconds <= 0:
            _LOG.warning("%s prints more than %d characters a minute", self._name, MAX_LOG_CHARACTERS)
