"""Dependencies of the routes of strategies."""

from typing import Annotated

from fastapi import Depends

from app.http.app_state import Component
from app.strategies.service.code_inspection import CodeInspector

CODE_INSPECTOR = Component[CodeInspector]("code_inspector")
CodeInspectorDep = Annotated[CodeInspector, Depends(CODE_INSPECTOR)]
