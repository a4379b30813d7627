"""The control API: act as people, inject faults, and inspect the state."""
