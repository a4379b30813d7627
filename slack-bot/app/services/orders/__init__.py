"""Place, show, change and decide on orders."""
