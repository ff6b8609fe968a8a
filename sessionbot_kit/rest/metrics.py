"""What Prometheus is told: requests, turns, chats, and what waits.

    metrics = Metrics()
    metrics.asked("post_chat", 200, 0.012)
    metrics.text()                             # in the format that Prometheus reads

Names and counts alone: no word of a person, and no label that grows with the number of people.
"""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0)


class Metrics:
    """The figures of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "sessionbot_requests",
            "Requests answered",
            ("operation", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "sessionbot_request_seconds",
            "How long a request took",
            ("operation",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._figures: dict[str, Gauge] = {}

    def asked(self, operation: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(operation, str(status)).inc()
        self._seconds.labels(operation).observe(seconds)

    def set(self, name: str, help: str, values: Mapping[str, float]) -> None:
        """Say how much there is of something now, for each bot."""
        if (gauge := self._figures.get(name)) is None:
            gauge = Gauge(f"sessionbot_{name}", help, ("bot",), registry=self.registry)
            self._figures[name] = gauge
        for bot, value in values.items():
            gauge.labels(bot).set(value)

    def text(self) -> bytes:
        return generate_latest(self.registry)
