"""Block Kit as data: what is valid, which elements hold values, and what those values look like."""
