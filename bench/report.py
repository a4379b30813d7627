"""The output of benchmarks: a figure compared with its required value and its target."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["ResultLine", "check_at_least", "check_at_most", "median", "print_lines"]


@dataclass(frozen=True, slots=True)
class ResultLine:
    """A row of the table. `outcome` begins with "MISSED" if the required value was missed."""

    label: str
    measured: str
    outcome: str = ""


def check_at_least(value: float, must: float, reach: float) -> str:
    """Return the verdict on a figure that should be large."""
    return _build_outcome(value >= must, value >= reach, f"must ≥ {must:,g}, reach ≥ {reach:,g}")


def check_at_most(value: float, must: float, reach: float) -> str:
    """Return the verdict on a figure that should be small."""
    return _build_outcome(value <= must, value <= reach, f"must ≤ {must:,g}, reach ≤ {reach:,g}")


def _build_outcome(must_met: bool, reach_met: bool, bounds: str) -> str:
    word = "reached" if reach_met else "met" if must_met else "MISSED"
    return f"{word} ({bounds})"


def print_lines(lines: Sequence[ResultLine]) -> None:
    """Print the lines as a table."""
    width = max(len(line.label) for line in lines)
    for line in lines:
        print(f"{line.label:<{width}}  {line.measured:>12}  {line.outcome}")
