"""What people write: command lines and forms become tickets, or sentences saying what is wrong. Pure."""
