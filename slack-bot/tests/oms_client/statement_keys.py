"""Keys that sign statements."""

STATEMENT_KEY = "oms_k3j9x0q2w7ab_" + "x" * 41
