"""A receiver of events as anybody would write it, with the official library of Standard Webhooks.

Arguments: a port, and the file to which the events are appended. The secret is in SECRET.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from standardwebhooks import Webhook

PORT, FILE = int(sys.argv[1]), Path(sys.argv[2])
WEBHOOK = Webhook(os.environ["SECRET"])


class Receiver(BaseHTTPRequestHandler):
    """Answers only after the event is on the disk."""

    def do_POST(self) -> None:
        """Verify an event and keep it."""
        body = self.rfile.read(int(self.headers["content-length"]))
        WEBHOOK.verify(body, dict(self.headers))
        with FILE.open("ab", buffering=0) as file:
            file.write(b"\n" + body + b"\n")
            os.fsync(file.fileno())
        self.send_response(204)
        self.end_headers()


ThreadingHTTPServer(("127.0.0.1", PORT), Receiver).serve_forever()
