"""Load the replies to requests that change no orders: commands in words, the overview, tables and charts."""
