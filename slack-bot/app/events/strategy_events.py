"""Show events of strategies in a thread for each, and send the results of backtests."""

from app.events.notification_events import find_person
from app.events.registry import Event
from app.services.dependencies import Services
from app.services.strategies.backtests import send_backtest_result
from app.services.strategies.threads import show_strategy_event


def show_strategy(services: Services, event: Event) -> None:
    """Show an event of a strategy in the channel for reports."""
    show_strategy_event(services, event.type, event.payload, event.id)


def notify_of_backtest(services: Services, event: Event) -> None:
    """Send the result of a backtest to the person who requested it. Programs get none."""
    person = find_person(str(event.payload.get("actor") or ""))
    if person is not None and person.team == services.team:
        send_backtest_result(services, person, event.payload, event.id)
