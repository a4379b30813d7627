"""Errors of the connection to a broker. A rejection by the broker is an event, not an error."""


class BrokerUnavailable(Exception):
    """The broker was not reached. Nothing was sent, and the call may be repeated."""


class OutcomeOpen(Exception):
    """The broker was reached but did not respond. Query the order by `find` before repeating the call."""
