"""Packing rows into blocks, and storing the blocks."""
