"""Dependencies that all routes share: database readers, cursors and the time. `part` defines further ones."""

from typing import Annotated, Any

from fastapi import Depends, Request

from app.clock import Now
from app.database import Readers
from app.database.changes import Changes
from app.wire.exports import Exports
from app.wire.pages import Cursors


def part(name: str) -> Any:  # the type that Depends returns
    """Return a FastAPI dependency that returns a component of the application.

    It is the component that `assembly` stored under that name in the application's state.
    """

    async def get_part(request: Request) -> Any:  # each package annotates the type
        return getattr(request.app.state, name)

    return Depends(get_part)


ReadersDep = Annotated[Readers, part("readers")]
CursorsDep = Annotated[Cursors, part("cursors")]
ExportsDep = Annotated[Exports, part("exports")]
ClockDep = Annotated[Now, part("now")]
ChangesDep = Annotated[Changes, part("changes")]
