"""The assembly of a process: its components, background jobs and startup checks."""
