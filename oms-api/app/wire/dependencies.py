"""What routes of any room are given: readers of the database, cursors, the time; and how rooms name more."""

from typing import Annotated, Any

from fastapi import Depends, Request

from app.clock import Now
from app.database import Readers
from app.database.changes import Changes
from app.wire.exports import Exports
from app.wire.pages import Cursors


def part(name: str) -> Any:  # what Depends returns
    """Return a FastAPI dependency: the part of that name among those that `assembly` gave the application."""

    async def get_part(request: Request) -> Any:  # each room annotates what it is
        return getattr(request.app.state, name)

    return Depends(get_part)


TheReaders = Annotated[Readers, part("readers")]
TheCursors = Annotated[Cursors, part("cursors")]
TheExports = Annotated[Exports, part("exports")]
TheClock = Annotated[Now, part("now")]
TheChanges = Annotated[Changes, part("changes")]
