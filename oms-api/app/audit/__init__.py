"""The trail of who did what: append-only, chained by hashes tenant by tenant. No routes of its own."""
