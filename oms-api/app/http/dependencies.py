"""Dependencies that all routes share: database readers, cursors, exports, changes and the time."""

from typing import Annotated

from fastapi import Depends

from app.clock import Now
from app.database import Readers
from app.database.changes import ChangeWriter
from app.http.app_state import Component
from app.http.exports import Exports
from app.http.pages import Cursors

READERS = Component[Readers]("readers")
ReadersDep = Annotated[Readers, Depends(READERS)]
CURSORS = Component[Cursors]("cursors")
CursorsDep = Annotated[Cursors, Depends(CURSORS)]
EXPORTS = Component[Exports]("exports")
ExportsDep = Annotated[Exports, Depends(EXPORTS)]
NOW = Component[Now]("now")
ClockDep = Annotated[Now, Depends(NOW)]
CHANGES = Component[ChangeWriter]("changes")
ChangesDep = Annotated[ChangeWriter, Depends(CHANGES)]
