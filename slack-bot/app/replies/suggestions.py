"""The choices of the portfolio field while it is typed in: in time, or none."""

import logging
from concurrent.futures import TimeoutError as FutureTimeout

from app.blocks.options import portfolio_options
from app.blocks.text import OPTIONS_AT_MOST, Json
from app.errors import OmsError, Saturated
from app.replies.desk import Desk
from app.replies.origin import Origin

log = logging.getLogger(__name__)


def suggest_portfolios(desk: Desk, origin: Origin, typed: str) -> list[Json]:
    """Return at most 100 choices for what was typed, none when the OMS does not answer in time."""
    request_id = origin.request_id
    try:
        future = desk.suggesting.submit(
            request_id, desk.oms.portfolios, typed.strip(), limit=OPTIONS_AT_MOST, request_id=request_id
        )
        names = future.result(timeout=desk.waits.suggestions)
    except (OmsError, Saturated, FutureTimeout) as fault:
        log.warning("No suggestions", extra={"request_id": request_id, "fault": type(fault).__name__})
        return []
    return portfolio_options(names, typed)
