"""Who may talk to the simulator: programs and pages of this machine, by a loopback name."""

from urllib.parse import urlsplit

from flask import Request

from simulator.config import is_loopback

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def refusal(request: Request) -> str:
    """Return why a request is refused; empty when it is not.

    A name other than this machine's in ``Host`` is a page elsewhere that had its name resolved to loopback;
    an ``Origin`` that is not ours is a page elsewhere that posts to us.
    """
    host = urlsplit(f"//{request.host}").hostname or ""
    if not is_loopback(host):
        return f"The name {host} is not this machine's: use 127.0.0.1."
    if request.path.startswith("/control"):
        return _foreign_page(request)
    return ""


def _foreign_page(request: Request) -> str:
    if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
        return "Pages from elsewhere may not drive the simulator."
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{request.host}":
        return "Pages from elsewhere may not drive the simulator."
    if request.method not in SAFE_METHODS and request.mimetype != "application/json":
        return "Send JSON, with Content-Type: application/json."
    return ""
