"""The HTTP interface: strict JSON, amounts as text, problem details and pagination."""
