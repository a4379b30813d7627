"""Pure rules of risk: plain values in and out."""
