"""Answer requests that read: commands in words, the overview, tables and charts."""
