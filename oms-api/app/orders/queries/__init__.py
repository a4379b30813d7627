"""Read and write orders in the database."""
