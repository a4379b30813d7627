"""The bot as a process: its environment, its health and its requests."""

import json
import os
import time
import urllib.request
from pathlib import Path

from tests import factories

FOLDER = Path(__file__).parents[2]


def build_environment(**values):
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return inherited | values


def wait_for_health(url, seconds=60.0):
    until = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2) as response:  # noqa: S310 - loopback
                return json.load(response)
        except OSError:  # it does not listen yet, or is slow
            assert time.monotonic() < until
            time.sleep(0.02)


def post_payload(url, payload):
    body = factories.build_form_body(payload)
    request = urllib.request.Request(f"{url}/slack/events", body.encode(), factories.sign_headers(body))  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - loopback
        return response.status
