"""Orders, purely: values, the table of states, tickets, contingents."""
