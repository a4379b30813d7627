"""What routes of any room are given: readers of the database, cursors, the time."""

from typing import Annotated

from fastapi import Depends, Request

from app.clock import Now
from app.database import Readers
from app.database.changes import Changes
from app.wire.pages import Cursors


async def _readers(request: Request) -> Readers:
    readers: Readers = request.app.state.readers
    return readers


async def _cursors(request: Request) -> Cursors:
    cursors: Cursors = request.app.state.cursors
    return cursors


async def _now(request: Request) -> Now:
    now: Now = request.app.state.now
    return now


async def _changes(request: Request) -> Changes:
    changes: Changes = request.app.state.changes
    return changes


TheReaders = Annotated[Readers, Depends(_readers)]
TheCursors = Annotated[Cursors, Depends(_cursors)]
TheClock = Annotated[Now, Depends(_now)]
TheChanges = Annotated[Changes, Depends(_changes)]
