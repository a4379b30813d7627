"""Write events to the outbox and read them as a stream."""

from app.events.service.outbox import build_event_insert, build_packed_insert

__all__ = ["build_event_insert", "build_packed_insert"]
