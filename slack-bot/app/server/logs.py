"""Write structured logs to standard error: the event and named values, never a body or a secret."""

import json
import logging
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from typing_extensions import override
else:
    T = TypeVar("T")

    def override(method: T) -> T:  # available in typing from Python 3.12
        """Mark a method that replaces an inherited one."""
        return method


STANDARD_ATTRIBUTES = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
QUIET_LOGGERS = ("slack_bolt", "slack_sdk", "httpx", "httpcore", "waitress", "werkzeug", "urllib3")


def configure_logging(log_format: str) -> None:
    """Set up the root logger. Libraries log errors only, because some log Slack's requests."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if log_format == "json" else Console())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)


def list_extra_values(record: logging.LogRecord) -> dict[str, object]:
    """Return the values that were passed as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in STANDARD_ATTRIBUTES}


def _format_instant(record: logging.LogRecord) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


class JsonLines(logging.Formatter):
    """Format each record as one JSON object per line."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        line = {"time": _format_instant(record), "level": record.levelname.lower(), "logger": record.name}
        line |= {
            "event": record.getMessage(),
            **{name: str(value) for name, value in list_extra_values(record).items()},
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class Console(logging.Formatter):
    """Format each record as a readable line with the named values at the end."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        values = " ".join(f"{name}={value}" for name, value in list_extra_values(record).items())
        line = (
            f"{_format_instant(record)} {record.levelname.lower():7} {record.getMessage()} {values}".rstrip()
        )
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line
