"""Parse order commands and order forms, and describe orders. Without side effects."""
