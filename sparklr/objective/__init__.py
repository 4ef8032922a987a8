"""The objective for blocks: families, losses, sums over rows, moments, scaling, penalties."""
