"""Show the views and messages of the bot's gallery in the simulator, without the bot and the OMS."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
from playwright.sync_api import Locator, Page, expect
from typing_extensions import override

import run
from deployment import LOOPBACK, build_environment
from slack_page import LOOKS, SHOTS
from supervisor import stop_all
from support.ports import find_free_ports

CHANNEL, PERSON = "C0TRADING01", "U0AVACHEN01"
HEIGHT_PIXELS = 800
TIMEOUT_MILLISECONDS = 30_000
Json = dict[str, Any]
FIND_FAULTS = Path(__file__).with_name("text_faults.js").read_text()


class Gallery:
    """The simulator with the pictures, and a browser that shows them."""

    def __init__(self, page: Page, address: str, token: str, triggers: list[str]):
        self.page = page
        self.address = address
        self._token = token
        self._triggers = triggers

    def call(self, method: str, **arguments: Any) -> Json:
        """Call Slack's Web API as the bot does."""
        headers = {"Authorization": f"Bearer {self._token}"}
        response = httpx.post(f"{self.address}/api/{method}", json=arguments, headers=headers, **LOOPBACK)
        content: Json = response.raise_for_status().json()
        assert content["ok"], content
        return content

    def act(self, verb: str, **body: Any) -> None:
        """Act as a person over the control API."""
        address = f"{self.address}/control/{verb}"
        httpx.post(address, json=body, **LOOPBACK).raise_for_status()

    def open_channel(self) -> None:
        """Open the channel of the messages."""
        self.page.goto(f"{self.address}/?as=ava&channel=trading")

    def show_modal(self, view: Json) -> Locator:
        """Open a form and return its dialog."""
        self.act("say", user="ava", channel="trading", text="/trade")
        self.call("views.open", trigger_id=self._triggers.pop(), view=view)
        dialog = self.page.get_by_role("dialog")
        expect(dialog).to_be_visible(timeout=TIMEOUT_MILLISECONDS)
        return dialog

    def close_modal(self) -> None:
        """Close the form."""
        self.act("close", user="ava", everything=True)
        expect(self.page.get_by_role("dialog")).to_have_count(0, timeout=TIMEOUT_MILLISECONDS)

    def show_overview(self, view: Json) -> Locator:
        """Publish a home tab and return it."""
        self.call("views.publish", user_id=PERSON, view=view)
        self.page.goto(f"{self.address}/?as=ava&channel=dm")
        self.page.get_by_role("tab", name="Home").click()
        return self.page.locator("#home")

    def show_message(self, content: Json) -> Locator:
        """Post a message and return it."""
        ts = self.call("chat.postMessage", channel=CHANNEL, **content)["ts"]
        return self.page.locator(f'[data-testid="message"][data-ts="{ts}"]')

    def find_faults(self, shown: Mapping[str, Locator]) -> list[str]:
        """Return the texts that cannot be read on a phone, light and dark, by the name of the picture.

        If SCREENSHOTS is set, also look at the width of a screen, and save screenshots.
        """
        faults = []
        for look in LOOKS if SHOTS else ("phone", "phone-dark"):
            scheme, width = LOOKS[look]
            self.page.emulate_media(color_scheme=scheme)
            if self.page.viewport_size != {"width": width, "height": HEIGHT_PIXELS}:
                self.page.set_viewport_size({"width": width, "height": HEIGHT_PIXELS})
            for name, element in shown.items():
                expect(element).to_be_visible(timeout=TIMEOUT_MILLISECONDS)
                faults += [f"{name}, {look}: {fault}" for fault in element.evaluate(FIND_FAULTS)]
                if SHOTS:
                    element.screenshot(path=Path(SHOTS) / f"{name}-{look}.png", animations="disabled")
        return faults


def load_pictures(surface: str) -> list[Json]:
    """Return the pictures of a surface from the tests of the bot."""
    completed = subprocess.run(
        [sys.executable, "-m", "tests.gallery"],
        cwd=run.ROOT / "slack-bot",
        env=build_environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return [picture for picture in json.loads(completed.stdout) if picture["surface"] == surface]


@contextmanager
def open_gallery(page: Page) -> Iterator[Gallery]:
    """Start the simulator and open its page."""
    triggers: list[str] = []
    bot = ThreadingHTTPServer(("127.0.0.1", 0), _build_handler(triggers))
    thread = threading.Thread(target=bot.serve_forever, args=(0.02,))
    thread.start()
    ports = dict(zip(run.PORTS, find_free_ports(len(run.PORTS)), strict=True))
    programs = run.list_programs(build_environment(), {}, ports)
    (simulator,) = (program for program in programs if program.name == "simulator")
    simulator.environment = {**simulator.environment, "BOT_URL": f"http://127.0.0.1:{bot.server_port}"}
    simulator.write_line = lambda _name, _line: None
    try:
        simulator.start()
        run.wait_until_healthy([simulator])
        address = f"http://127.0.0.1:{simulator.port}"
        gallery = Gallery(page, address, simulator.environment["SLACK_BOT_TOKEN"], triggers)
        gallery.open_channel()
        yield gallery
    finally:
        stop_all([simulator])
        bot.shutdown()
        bot.server_close()
        thread.join()


def _build_handler(triggers: list[str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """A bot that accepts each request, and records the triggers of commands."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            triggers.extend(parse_qs(body).get("trigger_id", []))
            content = b'{"options": []}' if "block_suggestion" in body else b""
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        @override
        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

    return Handler
