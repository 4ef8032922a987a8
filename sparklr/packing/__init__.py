"""Rows into blocks, and where the blocks lie."""
