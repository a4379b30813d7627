"""The pages of lists: the cursor of a request, and the response with the link to the next page."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import Depends, Request, Response

from app.http.dependencies import CursorsDep
from app.http.lists import build_link_header
from app.http.pages import Cursors
from app.http.responses import build_json_response

ItemT = TypeVar("ItemT")


class PageParameters(Protocol):
    """The parameters of a list."""

    limit: int
    cursor: str | None


class ListPage:
    """A page that a request asks for. `start` is the position in its cursor, None for the first page.

    Read `count` items from `start`: one more than the page shows, so that it is known whether there is a next
    page.
    """

    def __init__(
        self, request: Request, cursors: Cursors, tenant_id: int, list_name: str, query: PageParameters
    ) -> None:
        self._request, self._cursors, self._list = request, cursors, (tenant_id, list_name)
        self._limit, self.count = query.limit, query.limit + 1
        self.start = cursors.read(*self._list, query.cursor) if query.cursor else None

    def build_response(
        self, items: Sequence[ItemT], serialize: Callable[[ItemT], Any], get_position: Callable[[ItemT], str]
    ) -> Response:
        """Return the response with the items of the page. The next page starts after its last item."""
        page = items[: self._limit]
        position = get_position(page[-1]) if len(items) > self._limit else None
        return self.build_content_response(list(map(serialize, page)), position)

    def build_content_response(self, content: Any, position: str | None) -> Response:  # any JSON value
        """Return a response. There is a next page unless `position` is None."""
        cursor = None if position is None else self._cursors.make(*self._list, position)
        return build_json_response(content, headers=build_link_header(self._request, cursor))


class ListPages:
    """Opens the page that a request asks for. A FastAPI dependency."""

    def __init__(self, request: Request, cursors: CursorsDep) -> None:
        self._request, self._cursors = request, cursors

    def open(self, tenant_id: int, list_name: str, query: PageParameters) -> ListPage:
        """Return the page of a list of the tenant. Raises Invalid if the cursor is not one of the list."""
        return ListPage(self._request, self._cursors, tenant_id, list_name, query)


PagesDep = Annotated[ListPages, Depends()]
