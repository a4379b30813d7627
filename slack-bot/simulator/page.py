"""Serve the page and its files, with headers that block content from elsewhere."""

from flask import Blueprint, Response, send_from_directory
from flask.typing import ResponseReturnValue

# Images come from this machine only: no message may load anything from elsewhere.
IMAGES = "img-src 'self' data: http://127.0.0.1:* http://localhost:*"
NOTHING = "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
POLICY = f"default-src 'self'; {IMAGES}; {NOTHING}"


def create_blueprint(folder: str) -> Blueprint:
    """Return the routes of the page. ``folder`` contains its files."""
    routes = Blueprint("page", __name__)

    @routes.get("/")
    def index() -> ResponseReturnValue:
        return send_from_directory(folder, "index.html")

    @routes.get("/static/<path:name>")
    def static_file(name: str) -> ResponseReturnValue:
        return send_from_directory(folder, name)

    @routes.get("/health")
    def health() -> ResponseReturnValue:
        return {"status": "healthy", "service": "slack-simulator"}

    return routes


def add_security_headers(response: Response) -> Response:
    """Add the security headers to a response."""
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response
