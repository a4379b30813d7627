"""Errors of the connection to a broker. A rejection by the broker is an event, not an error."""

from app.errors import Conflict, FieldError, Forbidden, Invalid, NotFound, NotInstalled, Unavailable


class BrokerUnavailable(Exception):
    """Raised when the broker changed nothing, so that the call may be repeated.

    The broker was not reached, it refused the credentials, or a query failed.
    """


class RateLimitExceeded(BrokerUnavailable):
    """Raised when the broker's rate limit leaves no request within the time that this one may wait.

    Nothing was sent.
    """


class SessionNeeded(BrokerUnavailable):
    """Raised when the broker's session ended, and a person must log in. Nothing was sent."""

    def __init__(self, broker: str) -> None:
        super().__init__(
            f"{broker} needs today's login: log in at its page, then send the request token with "
            "`POST /brokers/{connection}/session`."
        )


class BrokerOutcomeUnknown(Exception):
    """Raised when it is not known whether the broker carried out a request.

    The response is missing, an error, or not understood. Find the order before you repeat the call.
    """


class LogInRefused(Invalid):
    """Raised when the broker did not take the request token of a login."""

    def __init__(self, message: str) -> None:
        text = f"The broker refused the token: {message} Log in again, and send the new token within minutes."
        super().__init__(
            "1 field is not valid; see `errors`.", [FieldError("request_token", text, "request_token")]
        )


class LogInFailed(Unavailable):
    """Raised when the broker was not reached for a login."""

    def __init__(self) -> None:
        super().__init__("The broker did not answer. Send the request token again.")


class NoLogIn(Conflict):
    """Raised when the broker has no daily login, or the connection must not be used yet."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The connection takes no login. {reason}")


class NoSuchConnection(NotFound):
    """Raised when the tenant has no connection of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no broker connection {name!r}; list them with `GET /broker-connections`.")


class ConnectionExists(Conflict):
    """Raised when the tenant has a connection of that name, or one to the same account."""

    def __init__(self, description: str) -> None:
        super().__init__(f"The tenant has a broker connection {description}; change that one.")


class ConnectionInUse(Conflict):
    """Raised when a portfolio trades over the connection."""

    def __init__(self, name: str, portfolio_name: str) -> None:
        super().__init__(
            f"The portfolio {portfolio_name!r} already trades over the connection {name!r}; use another "
            "connection, because a broker's account belongs to one portfolio."
        )


class PortfolioNotFlat(Conflict):
    """Raised when a portfolio with open orders or positions is to change its broker."""

    def __init__(self, portfolio_name: str) -> None:
        super().__init__(
            f"The portfolio {portfolio_name!r} has open orders or positions; cancel and close them first."
        )


class SecondPersonNeeded(Forbidden):
    """Raised when the person who set up a live connection enables it."""

    def __init__(self) -> None:
        super().__init__(
            "Live trading must be enabled by an administrator who did not create the connection."
        )


class LimitsNeeded(Conflict):
    """Raised when live trading is to be enabled without limits."""

    def __init__(self) -> None:
        super().__init__("Live trading requires a limit of the tenant: set one with `PUT /limits`.")


class NotLive(Conflict):
    """Raised when a connection without `live` is to be enabled for live trading."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The connection {name!r} is a paper connection; create another one with `live`.")


class TooManyConnections(Conflict):
    """Raised when the tenant has the maximum number of connections."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"A tenant has at most {limit} broker connections; delete one first.")


class ConnectionNotValid(Invalid):
    """Raised when a field of a connection is not valid."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__("1 field is not valid; see `errors`.", [FieldError(field, message, "connection")])


class NoAdapter(NotInstalled):
    """Raised when this version or installation has no adapter for the broker."""

    def __init__(self, broker: str) -> None:
        super().__init__(
            f"This installation has no adapter for the broker {broker!r}; ask its operator to install it."
        )
