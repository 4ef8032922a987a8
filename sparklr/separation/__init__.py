"""Whether rows are separated, so that the likelihood has no maximum."""
