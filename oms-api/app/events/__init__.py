"""The outbox: every change writes its event in its own transaction; delivery comes after."""
