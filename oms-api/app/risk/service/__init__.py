"""What is done about limits and kill switches."""
