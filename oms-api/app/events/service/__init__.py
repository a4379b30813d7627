"""Writes to the outbox and follows it."""

from app.events.service.outbox import new_events

__all__ = ["new_events"]
