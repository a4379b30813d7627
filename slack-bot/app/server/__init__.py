"""The server: Flask and Bolt, health checks, logs, start and stop."""
