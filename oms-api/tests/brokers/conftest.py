"""Fixtures for the adapters of all brokers."""

import logging
from collections.abc import Iterator

import pytest

LOGGERS = ("app.brokers", "httpx", "httpcore", "websockets")


@pytest.fixture
def log_records(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Collect the messages that an adapter and its libraries log, at every level."""
    lines: list[str] = []
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: lines.append(record.getMessage()))
    loggers = [logging.getLogger(name) for name in LOGGERS]
    for logger in loggers:
        monkeypatch.setattr(logger, "level", logging.DEBUG)
        logger.addHandler(handler)
    logging.getLogger().manager._clear_cache()  # type: ignore[attr-defined]  # of the levels
    yield lines
    for logger in loggers:
        logger.removeHandler(handler)
