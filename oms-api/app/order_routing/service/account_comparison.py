"""The comparison of a session's account with our books."""

from collections.abc import Callable, Sequence
from typing import Protocol

from app.brokers.protocol import Broker
from app.brokers.queries import StoredConnection
from app.brokers.rules.values import BrokerEvent


class Reconcile(Protocol):
    """Compares an account with our books. `apply` books the broker's executions."""

    def __call__(
        self, stored: StoredConnection, broker: Broker, apply: Callable[[Sequence[BrokerEvent]], None], /
    ) -> bool:
        """Compare, and return whether another comparison must confirm a difference.

        Raises BrokerUnavailable or BrokerOutcomeUnknown if the broker does not answer.
        """


def compare_nothing(
    _stored: StoredConnection, _broker: Broker, _apply: Callable[[Sequence[BrokerEvent]], None]
) -> bool:
    """Compare nothing."""
    return False
