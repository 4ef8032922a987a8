"""Passes: one reading of the data answers a round. Only `spark.py` and `session.py` know Spark."""
