"""Records actions, aggregates frequent ones, and verifies exports."""

from app.audit.rules.entries import AuditEntry, mask_secrets
from app.audit.service.recording import record_entries
from app.audit.service.trail import Trail

__all__ = ["AuditEntry", "Trail", "mask_secrets", "record_entries"]
