"""Change limits for a caller: resolve aliases, and record the change in the audit log."""

from datetime import datetime

from sqlalchemy import Connection

from app.audit.service import record_entries
from app.http.direct_routes import RequestInfo
from app.identity.rules.access import Caller
from app.risk.rules.limits import RiskLimit
from app.risk.service.audit_entries import build_limit_entry
from app.risk.service.limit_store import remove_limit, resolve_limit_symbols, set_limit


def change_limit(
    connection: Connection,
    caller: Caller,
    request: RequestInfo,
    requested: RiskLimit,
    at: datetime,
    *,
    is_removed: bool,
) -> RiskLimit:
    """Set or remove a limit. Return it with symbols instead of aliases. Raises TooManyControls."""
    limit = resolve_limit_symbols(connection, caller.tenant_id, requested)
    change = (remove_limit if is_removed else set_limit)(connection, caller.tenant_id, limit)
    record_entries(connection, [build_limit_entry(caller, request, at, limit, change)])
    return limit
