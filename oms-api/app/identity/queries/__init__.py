"""Reading and writing who is who."""
