"""The choices of the portfolio field while it is typed in: in time, or none."""

import logging
from concurrent.futures import TimeoutError as FutureTimeout

from app.blocks.options import portfolio_options
from app.blocks.text import OPTIONS_AT_MOST, Json
from app.errors import BotError, OmsError, Saturated, named
from app.replies.desk import Desk
from app.replies.origin import Origin

log = logging.getLogger(__name__)


NONE: Json = {"options": []}


def suggest_portfolios(desk: Desk, origin: Origin, typed: str) -> Json:
    """Return at most 100 choices for what was typed, none when the OMS does not answer in time."""
    request_id = origin.request_id
    try:
        future = desk.suggesting.submit(request_id, _look_up, desk, origin, typed)
        return future.result(timeout=desk.waits.suggestions)
    except (OmsError, Saturated, FutureTimeout) as fault:
        said = named(fault) if isinstance(fault, BotError) else type(fault).__name__
        log.warning("No suggestions", extra={"request_id": request_id, "fault": said})
        return NONE


def _look_up(desk: Desk, origin: Origin, typed: str) -> Json:
    query, person, request_id = typed.strip(), origin.person, origin.request_id
    names = desk.oms.portfolios(person, query, limit=OPTIONS_AT_MOST + 1, request_id=request_id)
    cut = len(names) > OPTIONS_AT_MOST  # then a name may exist without being among them
    exact = desk.oms.portfolio_named(person, query, request_id=request_id) if cut and query else None
    return portfolio_options(names, typed, exact)
