"""Fixtures for the host of strategies."""

import asyncio

import pytest


@pytest.fixture
def loop(service):
    """Provide the event loop of the running service."""
    return get_loop(service)


def get_loop(service):
    """Return the event loop of a running service."""
    return service.client.portal.call(_get_running_loop)


async def _get_running_loop():
    return asyncio.get_running_loop()
