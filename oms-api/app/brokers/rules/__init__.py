"""Messages between brokers and the rest of the application, and the matching of the paper market, without
I/O.
"""
