"""The search that a validator runs: all maps and folds in the same passes over the rows."""
