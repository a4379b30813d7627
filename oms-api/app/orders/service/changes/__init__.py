"""Cancel, replace, close, and set exits, as people and programs request it."""
