"""Place, change, match and fill orders."""
