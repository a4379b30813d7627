"""Reading and writing orders."""
