"""On machines with too few layers of protection, only the examples and trusted code run."""

import pytest

from app.sandbox.errors import SandboxUnavailable
from app.sandbox.rules.layers import Layer
from app.sandbox.service.policy import SandboxPolicy

EXAMPLE = "slackoms_strategy.examples.pairs:Pairs"
OTHER = "my_strategy:Trend"
ENOUGH = [Layer.SECCOMP, Layer.LANDLOCK, Layer.RESOURCE_LIMITS]


def test_sandbox_is_used_unless_it_is_off():
    for name in (EXAMPLE, OTHER):
        assert SandboxPolicy(is_on=True, list_layers=lambda: ENOUGH).requires_sandbox(name)
        assert not SandboxPolicy(is_on=False, list_layers=list).requires_sandbox(name)


def test_untrusted_code_is_refused_where_layers_are_missing():
    policy = SandboxPolicy(is_on=True, list_layers=lambda: ENOUGH[1:])
    assert not policy.requires_sandbox(EXAMPLE)
    with pytest.raises(SandboxUnavailable, match=r"need seccomp, which .* set STRATEGY_SANDBOX=off\."):
        policy.requires_sandbox(OTHER)
