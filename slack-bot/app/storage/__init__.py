"""Store persistent state in an SQLite file, or in a PostgreSQL database that several bots share."""
