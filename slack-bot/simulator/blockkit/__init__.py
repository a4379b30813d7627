"""Block Kit as data: its validation, and the values of the elements."""
