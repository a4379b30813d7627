"""Record actions, aggregate frequent ones, and verify exports."""

from app.audit.rules.entries import AuditEntry, mask_secrets
from app.audit.service.audit_writer import AuditWriter
from app.audit.service.entries import record_entries

__all__ = ["AuditEntry", "AuditWriter", "mask_secrets", "record_entries"]
