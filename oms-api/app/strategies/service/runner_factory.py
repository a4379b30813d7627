"""Create the runner of a strategy: on paper, live, and in the replay of its journal."""

from app.backtests.errors import InvalidBacktest
from app.backtests.service.loading import create_strategy, load_strategy
from app.sandbox.rules.limits import SandboxLimits
from app.strategies.errors import CodeChanged, build_field_error
from app.strategies.service.code_catalog import CodeCatalog, FoundCode
from app.strategies.service.runner import InProcessRunner, RunnerSpec, StrategyRunner
from app.strategies.service.sandboxed_runner import LIMITS, SandboxedRunner


class RunnerFactory:
    """Creates runners, in a sandbox unless the code may run in this process."""

    def __init__(self, catalog: CodeCatalog, limits: SandboxLimits = LIMITS) -> None:
        self.catalog, self._limits = catalog, limits

    def create(self, code: FoundCode, spec: RunnerSpec) -> StrategyRunner:
        """Return the runner of a strategy. Raises CodeChanged, SandboxError, or the errors of its module."""
        if code.is_sandboxed:
            return self._start_process(code, spec)
        try:
            strategy = create_strategy(load_strategy(code.entry_point), spec.parameters)
        except InvalidBacktest as error:
            raise build_field_error("entry_point", str(error), "unknown") from None
        return InProcessRunner(strategy, spec.strategy_id, spec.name, spec.symbols)

    def _start_process(self, code: FoundCode, spec: RunnerSpec) -> SandboxedRunner:
        runner = SandboxedRunner(code.source, spec, self._limits)
        if self.catalog.find(code.entry_point).code_hash != code.code_hash:
            runner.close()  # the file was changed before the process had read it
            raise CodeChanged
        return runner
