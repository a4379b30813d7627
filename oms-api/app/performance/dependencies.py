"""Dependencies of the routes of performance."""

from typing import Annotated

from fastapi import Depends

from app.http.app_state import Component
from app.performance.service.performance_reader import PerformanceReader

PERFORMANCE = Component[PerformanceReader]("performance")
PerformanceDep = Annotated[PerformanceReader, Depends(PERFORMANCE)]
