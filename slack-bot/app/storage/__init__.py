"""Store what must survive a restart, in an SQLite file or a PostgreSQL database that several bots share."""
