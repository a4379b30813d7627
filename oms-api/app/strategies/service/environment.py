"""The catalog of strategy code and the sandbox policy, from the environment."""

from app.config import Settings
from app.sandbox.service.policy import SandboxPolicy
from app.strategies.service.code_catalog import CodeCatalog


def create_code_catalog(settings: Settings) -> CodeCatalog:
    """Return the catalog by STRATEGY_MODULES and STRATEGY_SANDBOX."""
    return CodeCatalog(settings.allowed_strategy_modules, create_sandbox_policy(settings))


def create_sandbox_policy(settings: Settings) -> SandboxPolicy:
    """Return the policy by STRATEGY_SANDBOX."""
    return SandboxPolicy(is_on=settings.strategy_sandbox == "on")
