"""Webhooks: endpoints of a tenant that receive its events, signed, at least once and in order per order."""
