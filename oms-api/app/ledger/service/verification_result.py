"""The result of a verification."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from app.ledger.rules.verification import Finding

MAX_REPORTED = 20


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """A location with all findings about it."""

    location: str
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class VerificationResult:
    """The number of checks, the number of failures by check, and the first discrepancies.

    `reported` are the first `MAX_REPORTED` of `count` discrepancies. `first_of` is the first location by
    check.
    """

    checked: Counter[StrEnum] = field(default_factory=Counter)
    failed: Counter[StrEnum] = field(default_factory=Counter)
    reported: list[Discrepancy] = field(default_factory=list)
    count: int = 0
    first_of: dict[StrEnum, str] = field(default_factory=dict)

    @property
    def first(self) -> Discrepancy | None:
        """The first discrepancy, None if there is none."""
        return self.reported[0] if self.reported else None

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.count

    def add_findings(self, location: str, findings: list[Finding]) -> None:
        """Add the findings about a location."""
        self.count += 1
        if len(self.reported) < MAX_REPORTED:
            self.reported.append(Discrepancy(location, tuple(findings)))
        for check in dict.fromkeys(finding.check for finding in findings):
            self.failed[check] += 1
            self.first_of.setdefault(check, location)
