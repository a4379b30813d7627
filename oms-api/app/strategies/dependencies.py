"""Dependencies of the routes of strategies."""

from typing import Annotated

from fastapi import Depends

from app.strategies.service.code_inspection import CodeInspector
from app.wire.app_state import Component

CODE_INSPECTOR = Component[CodeInspector]("code_inspector")
CodeInspectorDep = Annotated[CodeInspector, Depends(CODE_INSPECTOR)]
