"""Typed access to the state of the application and of a request, which Starlette does not type."""

from typing import Generic, TypeVar

from starlette.requests import HTTPConnection

from app.http.direct_routes import RequestInfo

ValueT = TypeVar("ValueT")


class Component(Generic[ValueT]):
    """The key of a component of the application. `assembly` provides the component, and routes depend on it.

    `Depends` of a component returns its value, which has the type of the key.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, connection: HTTPConnection) -> ValueT:
        """Return the component. A FastAPI dependency."""
        return self.get(connection)

    def get(self, connection: HTTPConnection) -> ValueT:
        """Return the component of the application that serves the connection."""
        value: ValueT = getattr(connection.app.state, self.name)
        return value

    def build_state_entry(self, value: ValueT) -> tuple[str, ValueT]:
        """Return the name and the value to store in the application's state."""
        return self.name, value


def get_request_info(connection: HTTPConnection) -> RequestInfo:
    """Return the request as the ASGI middleware has read it."""
    request_info: RequestInfo = connection.state.request_info
    return request_info
