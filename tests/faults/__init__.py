"""What breaks while a fit runs: the coefficients are the same, or an error says why not."""
