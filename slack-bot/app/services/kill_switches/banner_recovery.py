"""Post the banners that bots left when they were killed or the result of the OMS was unknown."""

import logging
from datetime import datetime

from app.delivery.pending_banners import BannerState, PendingBanner
from app.errors import OmsError
from app.forms.portfolio_values import KillSwitch
from app.forms.text import name_key
from app.oms_client import Person
from app.oms_client.portfolio_client import PortfolioClient
from app.services.dependencies import Services
from app.services.kill_switches.banners import queue_banner
from app.services.trades.confirmation_recovery import NOT_RECORDED_AFTER_SECONDS

log = logging.getLogger(__name__)

MAX_AGE_SECONDS = 3600.0  # of a banner that is still posted
CLOCK_SECONDS = 30.0  # by which the clocks of the bot and the OMS may differ
ALL_PORTFOLIOS = "tenant"


def recover_banners(services: Services, now: float) -> None:
    """Post the banners of changes that the OMS has made. Give up banners that are too old."""
    for pending in services.pending_banners.adopt():
        age_seconds = now - pending.created_at
        if age_seconds > MAX_AGE_SECONDS:
            services.pending_banners.remove(pending.key)
            log.warning("Banner given up", extra={"request_id": pending.request_id})
        elif not pending.is_intended:
            queue_banner(services, pending)
        else:
            _recover_intended(services, pending, age_seconds)


def _recover_intended(services: Services, pending: PendingBanner, age_seconds: float) -> None:
    """Post the banner if the OMS has made the change. Remove it once the OMS will not make it any more."""
    try:
        is_made = _is_change_made(services, pending)
    except OmsError as error:
        log.info(
            "Stop of trading not looked up", extra={"request_id": pending.request_id, "fault": str(error)}
        )
        services.pending_banners.release(pending.key, BannerState.INTENDED)
        return
    if is_made:
        services.pending_banners.set_state(pending.key, BannerState.QUEUED)
        queue_banner(services, pending)
    elif age_seconds < NOT_RECORDED_AFTER_SECONDS:
        services.pending_banners.release(pending.key, BannerState.INTENDED)
    else:
        services.pending_banners.remove(pending.key)


def _is_change_made(services: Services, pending: PendingBanner) -> bool:
    """Return whether the kill switch is in the state that the person wanted, set by this request."""
    person = Person(services.team, pending.user)
    switches = PortfolioClient(services.oms, person, pending.request_id).list_switches()
    return any(
        _is_of(switch, pending.portfolio)
        and switch.is_active == pending.is_end
        and switch.set_by == person.actor
        and _is_set_since(switch, pending.created_at - CLOCK_SECONDS)
        for switch in switches
    )


def _is_of(switch: KillSwitch, portfolio: str) -> bool:
    if not portfolio:
        return switch.scope == ALL_PORTFOLIOS
    return switch.scope == "portfolio" and name_key(switch.name or "") == name_key(portfolio)


def _is_set_since(switch: KillSwitch, instant: float) -> bool:
    try:
        return datetime.fromisoformat(switch.set_at or "").timestamp() >= instant
    except ValueError:
        return False
