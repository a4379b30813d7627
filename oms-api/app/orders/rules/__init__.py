"""Pure rules of orders: values, states, tickets and contingent orders."""
