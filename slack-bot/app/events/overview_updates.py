"""Redraw overviews, and show stops of trading, when events of the OMS report changes."""

from app.blocks.kill_switch_forms import (
    build_halt_banner,
    build_resumed_banner,
    describe_unconfirmed_cancels,
)
from app.events.registry import Event
from app.services.dependencies import Services
from app.services.kill_switches.banners import replace_banner, show_banner
from app.services.notifications.delivery import notify_channel
from app.services.queries.overview import queue_changed_overviews

PERSON_IN_SLACK = "slack:"
NO_REASON = "no reason given"


def redraw_overviews(services: Services, event: Event) -> None:
    """Redraw the overviews whose data an event changed."""
    queue_changed_overviews(services, event.type, event.id)


def show_stop(services: Services, event: Event) -> None:
    """Show in the channel that trading was stopped or resumed outside this workspace, as by a loss limit.

    The forms of the bot show what people of the workspace do.
    """
    payload = event.payload
    actor = str(payload.get("set_by") or "")
    reason = str(payload.get("reason") or NO_REASON)
    if actor.startswith(f"{PERSON_IN_SLACK}{services.team}:") or payload.get("scope") == "strategy":
        return
    portfolio = str(payload.get("name") or "")
    state = str(payload.get("state") or "")
    if state == "ACTIVE":
        replace_banner(services, portfolio, build_resumed_banner(portfolio, actor, reason))
    else:
        show_banner(services, portfolio, build_halt_banner(portfolio, state, actor, reason))


def show_unconfirmed_cancels(services: Services, event: Event) -> None:
    """Name in the channel the orders that a kill switch could not cancel at their brokers yet."""
    if services.trading_channel:
        text = describe_unconfirmed_cancels(event.payload)
        notify_channel(services, services.trading_channel, event.type, text, event.id)
