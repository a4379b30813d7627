"""Dependencies of the routes of performance."""

from typing import Annotated

from fastapi import Depends

from app.performance.service.reading import PerformanceReader
from app.wire.app_state import Component

PERFORMANCE = Component[PerformanceReader]("performance")
PerformanceDep = Annotated[PerformanceReader, Depends(PERFORMANCE)]
