"""Start child processes, and exchange frames with them."""
