"""Post pending messages. Each is stored before it is posted, so that a crash loses none."""

from collections.abc import Callable

from app.delivery.pending_orders import PendingState
from app.errors import SlackError, SlackRateLimited, SlackRefused
from app.services.dependencies import Services


def post_pending_message(
    services: Services, key: str, *, is_posted: Callable[[], bool], post: Callable[[], None]
) -> None:
    """Post the message of a stored row, unless it was posted, or another bot has adopted the row."""
    if not services.pending_orders.set_state(key, PendingState.POSTING):
        return
    if not is_posted():
        try:
            post()
        except SlackError as error:
            _record_failed_post(services, key, error)
            raise
    services.pending_orders.remove(key)


def _record_failed_post(services: Services, key: str, error: SlackError) -> None:
    """Keep a message pending if it may be posted later. A refused one is given up."""
    match error:
        case SlackRateLimited():
            services.pending_orders.set_state(key, PendingState.SUBMITTED)  # the outbox tries again
        case SlackRefused() if error.is_about_token:
            services.pending_orders.set_state(key, PendingState.UNKNOWN)  # the app may be installed again
        case SlackRefused():
            services.pending_orders.remove(key)
        case _:
            services.pending_orders.set_state(key, PendingState.INTERRUPTED)
