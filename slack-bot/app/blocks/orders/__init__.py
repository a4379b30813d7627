"""Build the order form, the messages of orders, and the requests for approval."""
