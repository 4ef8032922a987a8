"""From rows to scores, and from scores to measures."""
