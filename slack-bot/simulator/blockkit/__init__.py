"""Block Kit as data: what is valid, and which values the elements hold."""
