"""Interest and borrow fees of portfolios, booked at the end of each of their days."""
