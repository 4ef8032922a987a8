"""The objective for arrays: losses, sums over rows, moments, scaling, penalties."""
