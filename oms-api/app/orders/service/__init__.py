"""What happens to orders inside the writer's transaction, and the desk before it."""
