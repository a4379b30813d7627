"""Components of the application that the route of the WebSocket reads."""

from app.streams.service.hub import StreamHub
from app.wire.app_state import Component

STREAMS = Component[StreamHub]("streams")
