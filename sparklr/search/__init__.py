"""All maps and folds of a search in the same readings: what a validator runs."""
