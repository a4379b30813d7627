"""Prometheus metrics: requests, latencies, batches, commits, business counts, and the process."""

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIZE_BUCKETS = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000)


class OrderMetrics:
    """Metrics of the orders and trades that this process handled.

    Label values come from fixed sets in the code, so that the number of series is bounded.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        self._orders = counter("oms_orders", "Orders by the status that they reached", ("type", "status"))
        self._fills = counter("oms_fills", "Fills of orders")
        self._denials = counter("oms_order_denials", "Orders that a risk check denied", ("code",))
        self._trades = counter(
            "oms_reported_trades", "Trades recorded without an order, and reversals of trades", ("kind",)
        )

    def count_order(self, order_type: str, status: str) -> None:
        """Count an order that came to a status."""
        self._orders.labels(str(order_type), str(status)).inc()

    def count_fills(self, count: int) -> None:
        """Count fills."""
        self._fills.inc(count)

    def count_denial(self, code: str) -> None:
        """Count an order that a risk check denied."""
        self._denials.labels(code).inc()

    def count_trades(self, kind: str, count: int) -> None:
        """Count trades that were recorded without an order ("trade"), or reversals ("reversal")."""
        self._trades.labels(kind).inc(count)


class SignalMetrics:
    """Metrics of the signals that this process handled."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        gauge = partial(Gauge, registry=registry)
        histogram = partial(Histogram, registry=registry, buckets=_SECONDS_BUCKETS)
        self._signals = counter("oms_signals", "Signals by channel and outcome", ("channel", "status"))
        self._latency = histogram(
            "oms_signal_seconds", "Time from the arrival of a signal to the commit of its outcome"
        )
        self._channels = gauge("oms_signal_channel_up", "1 if signals arrive over the channel", ("channel",))

    def count(self, channel: str, status: str, latency_ms: int) -> None:
        """Count a signal that was acted on."""
        self._signals.labels(str(channel), str(status)).inc()
        self._latency.observe(latency_ms / 1000)

    def count_refusal(self, channel: str) -> None:
        """Count a signal that was refused and not stored."""
        self._signals.labels(str(channel), "refused").inc()

    def set_channel(self, channel: str, *, is_up: bool) -> None:
        """Set whether signals arrive over a channel."""
        self._channels.labels(str(channel)).set(is_up)


class RequestMetrics:
    """Requests that this process sent to brokers and to webhooks, by outcome."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        histogram = partial(Histogram, registry=registry, buckets=_SECONDS_BUCKETS)
        labels = ("broker", "method", "outcome")
        self._broker_requests = counter("oms_broker_requests", "Requests to brokers", labels)
        self._broker_latency = histogram(
            "oms_broker_request_seconds",
            "Time until a broker answered or a request failed",
            ("broker", "method"),
        )
        self._deliveries = counter("oms_webhook_requests", "Requests to webhooks", ("outcome",))
        self._delivery_latency = histogram(
            "oms_webhook_request_seconds", "Time until an endpoint answered or a request failed"
        )

    def count_broker_request(self, broker: str, method: str, outcome: str, seconds: float) -> None:
        """Count a request to a broker. `outcome` is the class of the status, such as "2xx", or "failed"."""
        self._broker_requests.labels(broker, method, outcome).inc()
        self._broker_latency.labels(broker, method).observe(seconds)

    def count_webhook_request(self, outcome: str, seconds: float) -> None:
        """Count a request to a webhook. `outcome` is "delivered", "pending" (to be repeated) or "failed"."""
        self._deliveries.labels(outcome).inc()
        self._delivery_latency.observe(seconds)


class ChainMetrics:
    """The scheduled verification of the hash chains of the audit log and the ledger."""

    def __init__(self, registry: CollectorRegistry) -> None:
        gauge = partial(Gauge, registry=registry)
        self._verified_at = gauge(
            "oms_chains_verified_timestamp_seconds",
            "When all hash chains were verified last, in seconds since 1970; 0 if never",
        )
        self._broken_chains = gauge("oms_chains_broken", "Hash chains that are broken")

    def set_state(self, verified_at: float, broken_count: int) -> None:
        """Set when all chains were verified last, in seconds since 1970, and how many are broken."""
        self._verified_at.set(verified_at)
        self._broken_chains.set(broken_count)


class PortfolioMetrics:
    """Values of the portfolios that METRICS_PORTFOLIOS names, in their currency."""

    def __init__(self, registry: CollectorRegistry) -> None:
        gauge = partial(Gauge, registry=registry)
        labels = ("tenant", "portfolio", "currency")
        self._equity = gauge("oms_portfolio_equity", "Equity of a portfolio", labels)
        self._profits = gauge("oms_portfolio_pnl", "P&L of a portfolio after charges", (*labels, "kind"))

    def clear(self) -> None:
        """Remove all values, so that a portfolio that was renamed does not remain."""
        self._equity.clear()
        self._profits.clear()

    def set_values(
        self, labels: tuple[str, str, str], equity: float, day_pnl: float, total_pnl: float
    ) -> None:
        """Set the values of a portfolio. `labels` are tenant, portfolio and currency."""
        self._equity.labels(*labels).set(equity)
        self._profits.labels(*labels, "day").set(day_pnl)
        self._profits.labels(*labels, "total").set(total_pnl)


class Metrics:
    """The service's own registry. Each application has an instance, so that tests do not share counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        gauge = partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry, buckets=_SECONDS_BUCKETS)
        labels = ("method", "route", "status")
        self._requests = counter("oms_http_requests", "Requests answered", labels)
        self._latency = histogram("oms_http_request_seconds", "Time to answer", ("method", "route"))
        self._batches = histogram(
            "oms_write_batch_size", "Commands per batch of the writer", buckets=_SIZE_BUCKETS
        )
        self._commits = histogram("oms_commit_seconds", "Time to process and commit a batch of the writer")
        self._depth = gauge("oms_write_queue_depth", "Items in the writer's queue")
        self._audit_drops = counter(
            "oms_audit_acts_dropped", "Actions that were not written to the audit log"
        )
        self._job_lag = gauge("oms_duty_lag_seconds", "How late a background job is", ("duty",))
        self._job_duration = gauge(
            "oms_duty_duration_seconds", "Time of the last run of a background job", ("duty",)
        )
        self._job_failed = gauge("oms_duty_failed", "1 if the last run of a background job failed", ("duty",))
        self._job_runs = counter("oms_duty_runs", "Runs of background jobs", ("duty", "outcome"))
        self.chains = ChainMetrics(self.registry)
        self._websockets = gauge("oms_websocket_connections", "Authenticated WebSockets that are open")
        self.orders = OrderMetrics(self.registry)
        self.signals = SignalMetrics(self.registry)
        self.requests = RequestMetrics(self.registry)
        self.portfolios = PortfolioMetrics(self.registry)
        ProcessCollector(registry=self.registry)  # processor time, memory and open files; Linux only
        self._pending_work = gauge("oms_pending", "Work that is stored and not done yet", ("kind",))
        self._degraded_components = gauge(
            "oms_component_degraded", "1 if a component of the service is degraded or down", ("component",)
        )
        self._charge_differences = counter(
            "oms_broker_charge_differences",
            "Orders whose charges differ from what the broker computes",
            ("broker",),
        )
        self._forwarded_requests = counter(
            "oms_forwarded_requests",
            "Requests forwarded to the process that serves their portfolio",
            ("outcome",),
        )
        self._metrics_by_labels: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. `route` is the template ("/api/v1/trades/{trade_id}"), never the path as sent."""
        key = (method, route, status)
        children = self._metrics_by_labels.get(key)
        if children is None:
            children = (
                self._requests.labels(method, route, str(status)),
                self._latency.labels(method, route),
            )
            self._metrics_by_labels[key] = children
        children[0].inc()
        children[1].observe(seconds)

    def count_forwarded(self, outcome: str) -> None:
        """Count a forwarded request: "answered", "declined" or "lost"."""
        self._forwarded_requests.labels(outcome).inc()

    def record_batch(self, size: int, seconds: float) -> None:
        """Count a batch of the writer."""
        self._batches.observe(size)
        self._commits.observe(seconds)

    def count_dropped_actions(self, count: int) -> None:
        """Count actions that were not written to the audit log."""
        self._audit_drops.inc(count)

    def count_charge_difference(self, broker: str) -> None:
        """Count an order whose charges differ from what the broker computes."""
        self._charge_differences.labels(broker).inc()

    def watch_queue(self, depth: Callable[[], int]) -> None:
        """Start to report the depth of the writer's queue."""
        self._depth.set_function(lambda: float(depth()))

    def watch_websockets(self, count: Callable[[], int]) -> None:
        """Start to report the number of open WebSockets."""
        self._websockets.set_function(lambda: float(count()))

    def set_job(self, name: str, lag_seconds: float, duration_seconds: float, *, has_failed: bool) -> None:
        """Set the state of a background job."""
        self._job_lag.labels(name).set(lag_seconds)
        self._job_duration.labels(name).set(duration_seconds)
        self._job_failed.labels(name).set(has_failed)

    def count_job_run(self, name: str, seconds: float, has_failed: bool) -> None:
        """Count a run of a background job in this process."""
        self._job_runs.labels(name, "failed" if has_failed else "succeeded").inc()
        self._job_duration.labels(name).set(seconds)

    def set_component(self, name: str, *, is_degraded: bool) -> None:
        """Set whether a component of the service is degraded or down."""
        self._degraded_components.labels(name).set(is_degraded)

    def set_pending(self, kind: str, count: int) -> None:
        """Set the number of pending signals or webhook deliveries."""
        self._pending_work.labels(kind).set(count)

    def render(self) -> bytes:
        """Return the metrics in Prometheus' text format."""
        return generate_latest(self.registry)
