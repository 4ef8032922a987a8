"""Measurements against Spark's own estimator; not a part of the package."""
