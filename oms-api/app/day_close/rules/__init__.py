"""Pure rules of the day close."""
