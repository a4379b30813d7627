"""Respond to a submitted form in time, even if the OMS takes longer than Slack waits."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from app.blocks.text import Json
from app.blocks.views import build_busy_view, build_done_view, build_working_view
from app.errors import QueueFull, SlackError
from app.request_priority import REQUESTS
from app.services.dependencies import Services
from app.services.request_origin import RequestOrigin

log = logging.getLogger(__name__)


def respond_within_time(
    services: Services, origin: RequestOrigin, view: dict[str, Any], work: Callable[[], Json]
) -> Json:
    """Return the response that `work` returns, or "Working…" if it takes longer. The form is redrawn then.

    A response either closes the form, or updates it with a view.
    """
    try:
        future = services.trade_workers.submit(origin.request_id, work)
    except QueueFull:
        return {"response_action": "push", "view": build_busy_view()}
    try:
        with REQUESTS.exclude():
            return future.result(timeout=services.waits.submission)
    except FutureTimeout:
        responded_at = time.monotonic()
        future.add_done_callback(
            lambda finished: _redraw_form(services, origin, str(view["id"]), finished, responded_at)
        )
        return {"response_action": "update", "view": build_working_view()}


def _redraw_form(
    services: Services, origin: RequestOrigin, view_id: str, finished: "Future[Json]", responded_at: float
) -> None:
    """Show a late response in the form, after Slack has displayed "Working…"."""
    if finished.cancelled() or finished.exception() is not None:
        return
    services.stopping.wait(max(0.0, responded_at + services.waits.redraw_after - time.monotonic()))
    try:
        services.slack.update_view(view_id, finished.result().get("view") or build_done_view())
    except SlackError as error:
        log.info("Form not redrawn", extra={"request_id": origin.request_id, "fault": str(error)})
