"""The pre-trade checks, one module each.

A check is a function `find_denial(risk, quantity)` that returns the Denial of an order of that quantity, else
None. A check that passes a quantity must pass every smaller one too: `evaluation` relies on that to find the
largest passing quantity.
"""
