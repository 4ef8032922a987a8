"""Inference about coefficients: standard errors, tests, intervals, and whether estimates exist."""
