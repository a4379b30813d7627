"""Tests that behave the same on every database run on one of them."""

import pytest


def deselect_repeated(config: pytest.Config, items: list[pytest.Item], parameter: str) -> None:
    """Deselect the tests marked `any_database` whose `parameter` is postgresql."""
    repeated = [
        item
        for item in items
        if isinstance(item, pytest.Function)
        and item.get_closest_marker("any_database")
        and hasattr(item, "callspec")
        and item.callspec.params.get(parameter) == "postgresql"
    ]
    if repeated:
        config.hook.pytest_deselected(items=repeated)
        dropped = set(repeated)
        items[:] = [item for item in items if item not in dropped]
