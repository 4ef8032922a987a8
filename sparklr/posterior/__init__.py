"""Distributions of a fit's coefficients, from its Hessian and a few more readings of the rows."""
