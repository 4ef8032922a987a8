"""From a user's frame to matrices: columns, Arrow, blocks, and what can be wrong with rows."""
