"""Allow requests only from programs and pages of this machine, to a loopback name."""

from urllib.parse import urlsplit

from flask import Request

from simulator.config import is_loopback

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def find_refusal(request: Request) -> str:
    """Return why a request is refused. Empty if it is allowed.

    A foreign name in ``Host`` means that the name of another site resolves to loopback (DNS rebinding). A
    foreign ``Origin`` means that another site sends the request.
    """
    host = urlsplit(f"//{request.host}").hostname or ""
    if not is_loopback(host):
        return f"The name {host} is not this machine's: use 127.0.0.1."
    if request.path.startswith("/control"):
        return _find_foreign_page(request)
    return ""


def _find_foreign_page(request: Request) -> str:
    if request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"}:
        return "Pages from elsewhere may not drive the simulator."
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{request.host}":
        return "Pages from elsewhere may not drive the simulator."
    if request.method not in SAFE_METHODS and request.mimetype != "application/json":
        return "Send JSON, with Content-Type: application/json."
    return ""
