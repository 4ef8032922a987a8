"""From a user's frame to matrices: columns, Arrow batches, blocks, and checks of the rows."""
