"""The life of an order, from ticket to fills."""
