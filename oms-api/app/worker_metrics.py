"""Serve the metrics of a worker: `GET /metrics` at WORKER_METRICS_PORT, without a key."""

import logging
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from typing_extensions import override

from app.database.failures import format_reason
from app.health.service import count_pending, read_broken_chains, set_chain_metrics, set_job_metrics
from app.jobs.service import JobRunner
from app.metrics import Metrics

REQUEST_SECONDS = 10.0
_LOG = logging.getLogger(__name__)


class WorkerMetrics:
    """The metrics of a worker, with job states and queue sizes, which are read at each request."""

    def __init__(self, metrics: Metrics, engine: Engine, runner: JobRunner) -> None:
        self._metrics, self._engine, self._runner = metrics, engine, runner

    def render(self) -> bytes:
        """Return the metrics in Prometheus' text format. Without the database, those of the process."""
        try:
            self._read_reports()
        except SQLAlchemyError as error:
            _LOG.warning("the metrics lack the state of the jobs: %s", format_reason(error))
        return self._metrics.render()

    def _read_reports(self) -> None:
        with self._engine.connect() as connection:
            reports = self._runner.report(connection)
            set_job_metrics(self._metrics, reports)
            set_chain_metrics(self._metrics, reports, read_broken_chains(connection))
            for kind, count in count_pending(connection).items():
                self._metrics.set_pending(kind, count)


class MetricsServer:
    """An HTTP server for Prometheus, in its own threads. It shows no secrets, and needs no authentication."""

    def __init__(self, host: str, port: int, render: Callable[[], bytes]) -> None:
        self._server = ThreadingHTTPServer((host, port), _create_handler(render))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Start to answer."""
        self._thread.start()

    def close(self) -> None:
        """Stop to answer."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _create_handler(render: Callable[[], bytes]) -> type[BaseHTTPRequestHandler]:
    class MetricsHandler(BaseHTTPRequestHandler):
        timeout = REQUEST_SECONDS

        def do_GET(self) -> None:
            """Answer with the metrics."""
            if self.path != "/metrics":
                self.send_error(404)
                return
            body = render()
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE_LATEST)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Log nothing: Prometheus asks every few seconds."""

    return MetricsHandler
