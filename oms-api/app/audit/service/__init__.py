"""Record actions, aggregate frequent ones, and verify exports."""

from app.audit.rules.entries import AuditEntry, mask_secrets
from app.audit.service.recording import record_entries
from app.audit.service.trail import AuditTrail

__all__ = ["AuditEntry", "AuditTrail", "mask_secrets", "record_entries"]
