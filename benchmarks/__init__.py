"""Measurements against Spark's own estimator: no part of the package."""
