"""How a broker fails. A broker that says no raises nothing: that is an event."""


class BrokerUnavailable(Exception):
    """The broker was not reached: nothing was sent, and the call may be repeated."""


class OutcomeOpen(Exception):
    """The broker was reached and did not answer: ask it by `find` what became of the order before anything
    is repeated.
    """
