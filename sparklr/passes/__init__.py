"""Passes: one reading of the blocks answers a round. Only `jobs` depends on Spark."""
