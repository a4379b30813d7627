"""The pre-trade checks, one file each.

A check is a function `check(risk, quantity)`: the Denial where an order of that quantity may not pass, else
None.
What passes for a quantity passes for every smaller one too: `judging` finds the largest that way.
"""
