"""Sends logged errors to Sentry, if SENTRY_DSN is set. It needs the extra `sentry-sdk`.

The SDK sends headers, bodies, query strings and local variables by default. Here every event is rebuilt
from an allow-list: what happened where in the code, and for which request or job. The messages of exceptions
are left out too, because they can quote what a client sent. The log line with the same request id has them.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from app import __version__
from app.config import ConfigurationError, Settings
from app.correlation import get_correlation

SentryEvent = dict[str, Any]
ALLOWED_HEADERS = frozenset({"content-type", "content-length", "user-agent", "x-request-id", "traceparent"})
_SENTRY_PACKAGE = "sentry_sdk"
_KEPT_FIELDS = (
    "event_id",
    "timestamp",
    "level",
    "logger",
    "platform",
    "release",
    "environment",
    "sdk",
    "server_name",
)
_KEPT_FRAME_FIELDS = ("filename", "function", "module", "lineno", "in_app")


def configure_error_reports(settings: Settings) -> None:
    """Start to report errors, if there is a DSN. Raises ConfigurationError without the package."""
    if settings.sentry_dsn is None:
        return
    if find_spec(_SENTRY_PACKAGE) is None:
        raise ConfigurationError(
            "SENTRY_DSN is set, but the package sentry-sdk is missing: install requirements-sentry.txt"
        )
    sdk = import_module(_SENTRY_PACKAGE)
    logging_integration = import_module(f"{_SENTRY_PACKAGE}.integrations.logging").LoggingIntegration
    sdk.init(
        settings.sentry_dsn,
        release=__version__,
        environment=settings.environment,
        default_integrations=False,
        integrations=[logging_integration(level=None)],
        before_send=lambda event, _: filter_event(event),
        before_send_transaction=lambda *_: None,
        traces_sample_rate=0.0,
        auto_session_tracking=False,
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
    )


def filter_event(event: SentryEvent) -> SentryEvent:
    """Return an event with the allowed fields of `event` only, tagged with the request or job."""
    filtered = {name: event[name] for name in _KEPT_FIELDS if name in event}
    tags = {name: str(value) for name, value in get_correlation().items()}
    filtered["tags"] = tags
    entry = event.get("logentry")
    if entry is not None:
        filtered["logentry"] = {"message": entry.get("message")}  # the text of the code, without its values
    exceptions = event.get("exception", {}).get("values", [])
    if exceptions:
        filtered["exception"] = {"values": [_filter_exception(exception) for exception in exceptions]}
    if "request" in event:
        filtered["request"] = _filter_request(event["request"])
    return filtered


def _filter_exception(exception: SentryEvent) -> SentryEvent:
    frames = (exception.get("stacktrace") or {}).get("frames", [])
    public_frames = [{name: frame[name] for name in _KEPT_FRAME_FIELDS if name in frame} for frame in frames]
    exception_names = {name: exception.get(name) for name in ("type", "module")}
    return exception_names | {"stacktrace": {"frames": public_frames}}


def _filter_request(request: SentryEvent) -> SentryEvent:
    parts = urlsplit(str(request.get("url", "")))
    headers = {
        name: value
        for name, value in dict(request.get("headers") or {}).items()
        if name.lower() in ALLOWED_HEADERS
    }
    return {"method": request.get("method"), "url": f"{parts.scheme}://{parts.hostname}{parts.path}"} | {
        "headers": headers
    }
