"""Scores of rows, and measures computed from scores."""
