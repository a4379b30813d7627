"""Components of the application that the route of the WebSocket reads."""

from app.http.app_state import Component
from app.streams.service.hub import StreamHub

STREAMS = Component[StreamHub]("streams")
