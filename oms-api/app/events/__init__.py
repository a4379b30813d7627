"""The outbox: every change writes its event in its own transaction. Events are delivered after the commit."""
