"""A stand-in of TWS and IB Gateway: a small server that speaks the socket protocol of the TWS API."""
