"""What the batches of a stream have taught: the states that `partialFit` carries on."""
