"""Structured logs: readable lines, or JSON. Access log lines are buffered briefly and written together."""

import logging
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson
from typing_extensions import override

from app.correlation import get_correlation
from app.timestamps import format_timestamp

_STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {
    "message",
    "asctime",
    "taskName",
    "color_message",
}
FLUSH_SECONDS = 0.05


class JsonFormatter(logging.Formatter):
    """Formats one JSON object per line."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        return orjson.dumps(_list_extra_fields(record), default=str).decode()


class ConsoleFormatter(logging.Formatter):
    """Formats time, level, message and the facts as name=value, with a traceback below."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        fields = _list_extra_fields(record)
        head = f"{fields.pop('timestamp')[11:23]} {fields.pop('level'):<7} {fields.pop('event')}"
        trace = fields.pop("traceback", "")
        pairs = " ".join(f"{name}={_format_line(value)}" for name, value in fields.items())
        return f"{head} {pairs}".rstrip() + (f"\n{trace}" if trace else "")


class AccessLog:
    """Writes a line per request, at most FLUSH_SECONDS late. `schedule` is the event loop's call_later."""

    def __init__(self, as_json: bool, write: Callable[[str], object] | None = None) -> None:
        self._format = _format_access_json if as_json else _format_access_text
        self._write = write or (lambda text: sys.stdout.write(text) and sys.stdout.flush())
        self._lines: list[str] = []

    def add(self, schedule: Callable[[float, Callable[[], None]], object], *values: Any) -> None:  # see below
        """Add a request: instant, method, path, status, seconds, request id, caller, and trace id or None."""
        if not self._lines:
            schedule(FLUSH_SECONDS, self.flush)
        self._lines.append(self._format(*values))

    def flush(self) -> None:
        """Write the buffered lines."""
        lines, self._lines = self._lines, []
        if lines:
            self._write("".join(lines))


def configure_logging(as_json: bool, level: str) -> None:
    """Send all logs of the process to standard output in one format. uvicorn's access log is disabled."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter() if as_json else ConsoleFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("uvicorn", "uvicorn.error"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    access = logging.getLogger("uvicorn.access")
    access.handlers.clear()
    access.propagate = False
    logging.getLogger("alembic").setLevel("WARNING")


def _list_extra_fields(record: logging.LogRecord) -> dict[str, Any]:
    at = format_timestamp(datetime.fromtimestamp(record.created, UTC))
    fields: dict[str, Any] = {
        "timestamp": at,
        "level": record.levelname,
        "logger": record.name,
        "event": record.getMessage(),
    }
    fields |= get_correlation()
    fields |= {name: value for name, value in vars(record).items() if name not in _STANDARD_ATTRIBUTES}
    if record.exc_info and record.exc_info[0]:
        fields["traceback"] = "".join(traceback.format_exception(*record.exc_info)).rstrip()
    return fields


def _format_access_json(
    at: datetime, method: str, path: str, status: int, seconds: float, request_id: str, caller: str,
    trace_id: str | None = None,
) -> str:  # fmt: skip
    trace = "" if trace_id is None else f'"trace_id":"{trace_id}",'
    return (
        f'{{"timestamp":"{format_timestamp(at)}","level":"INFO","logger":"access","event":"request","method":"{method}",'
        f'"path":{orjson.dumps(path, default=str).decode()},"status":{status},'
        f'"milliseconds":{seconds * 1000:.2f},'
        f'"request_id":"{request_id}",{trace}"caller":{orjson.dumps(caller).decode()}}}\n'
    )


def _format_access_text(
    at: datetime, method: str, path: str, status: int, seconds: float, request_id: str, caller: str,
    trace_id: str | None = None,
) -> str:  # fmt: skip
    trace = "" if trace_id is None else f" trace_id={trace_id}"
    return (
        f"{format_timestamp(at)[11:23]} INFO    {method} {_format_line(path)} {status} "
        f"{seconds * 1000:.1f}ms request_id={request_id}{trace} caller={_format_line(caller)}\n"
    )


def _format_line(value: object) -> str:
    text = str(value)
    return text if text.isprintable() else ascii(text)[1:-1]
