"""Optimisation over distributions of neurons: a reading, particles, and grids to check them.

The reading, the dynamics and the grids depend on numpy and scipy only.
"""
