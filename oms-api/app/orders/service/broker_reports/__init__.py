"""Apply the execution reports of brokers, busts and corrections."""
