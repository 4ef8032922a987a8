"""Hostile input, made at random: each ends in a sentence or in the right answer."""
