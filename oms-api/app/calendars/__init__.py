"""Trading calendars: when each market is open, from tables that ship with the service."""
