"""Writing to the outbox, and following it."""

from app.events.service.outbox import new_events

__all__ = ["new_events"]
