"""What a fit says about the rows that it came from: whether its estimate exists."""
