"""The Flask application with all routes behind the guard."""

from pathlib import Path

from flask import Flask, Response, jsonify, request

from simulator import api, consent_page, guard, page
from simulator.assembly import Simulator
from simulator.control import action_routes, administration, fault_injection, inspection
from simulator.errors import ActError

FILES = Path(__file__).parent / "static"
LARGEST_BODY_BYTES = 2_000_000


def create_app(simulator: Simulator) -> Flask:
    """Return the application that serves the Web API, the control API and the page."""
    app = Flask("simulator", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST_BODY_BYTES
    app.json.sort_keys = False  # type: ignore[attr-defined] # Flask types its default provider as the abstract one
    app.register_blueprint(api.create_blueprint(simulator))
    app.register_blueprint(consent_page.create_blueprint(simulator))
    app.register_blueprint(page.create_blueprint(str(FILES)))
    for module in (action_routes, administration, fault_injection, inspection):
        app.register_blueprint(module.create_blueprint(simulator))
    app.before_request(_refuse_foreign_request)
    app.after_request(page.add_security_headers)
    app.register_error_handler(ActError, _build_error_response)
    return app


def _refuse_foreign_request() -> tuple[Response, int] | None:
    reason = guard.find_refusal(request)
    return (jsonify(error=reason), 403) if reason else None


def _build_error_response(error: Exception) -> tuple[Response, int]:
    return jsonify(error=str(error)), getattr(error, "status", 500)
