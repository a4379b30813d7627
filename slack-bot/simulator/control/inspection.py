"""Serve the state, the log and a stream of changes: GET /control/…."""

import json
from collections.abc import Iterator
from typing import Any

from flask import Blueprint, Response, request

from simulator import snapshot
from simulator.assembly import Simulator
from simulator.errors import ActError

HEARTBEAT_SECONDS = 10.0
MAX_STREAMS = 16


class Streams:
    """Streams of changes. Each uses a thread of the server, so their number is limited."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._open = 0

    def open(self) -> Iterator[bytes]:
        """Return the lines of one stream. Raises ActError if too many streams are open."""
        workspace_state = self._simulator.workspace_state
        with workspace_state.news:
            if self._open >= MAX_STREAMS:
                raise ActError("Too many pages are open.", 503)
        return self._stream_lines()

    def _stream_lines(self) -> Iterator[bytes]:
        workspace_state = self._simulator.workspace_state
        version = -1
        with workspace_state.news:
            self._open += 1
        try:
            while not self._simulator.request_sender.closing.is_set():
                yield f"data: {json.dumps({'boot': workspace_state.boot, 'version': version})}\n\n".encode()
                with workspace_state.news:
                    if workspace_state.version == version:
                        workspace_state.news.wait(HEARTBEAT_SECONDS)
                    version = workspace_state.version
        finally:
            with workspace_state.news:
                self._open -= 1


def create_blueprint(simulator: Simulator) -> Blueprint:
    """Return the routes that show the state and the log."""
    routes = Blueprint("inspection", __name__, url_prefix="/control")
    streams = Streams(simulator)
    workspace_state = simulator.workspace_state

    @routes.get("/state")
    def state() -> dict[str, Any]:
        user = request.args.get("user")
        channel = request.args.get("channel")
        with workspace_state.news:
            if user is None:
                return snapshot.serialize_workspace(workspace_state)
            actor = simulator.actor(user)
            screen = snapshot.screen(workspace_state, actor.person, actor.channel(channel or "trading"))
        return screen | {"has_desk": simulator.oms_view.is_configured}

    @routes.get("/desk")
    def get_oms_view() -> dict[str, Any]:
        if not simulator.oms_view.is_configured:
            raise ActError("No OMS is configured: set OMS_API_URL and OMS_API_KEY.", 404)
        return simulator.oms_view.load_data(simulator.actor(request.args.get("user", "ava")).person)

    @routes.get("/log")
    def log() -> dict[str, Any]:
        with workspace_state.news:
            return workspace_state.request_log.serialize()

    @routes.get("/stream")
    def stream() -> Response:
        return Response(streams.open(), mimetype="text/event-stream")

    return routes
