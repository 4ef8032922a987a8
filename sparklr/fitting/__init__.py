"""From Params to coefficients: specs, problems, choice of a solver, and many fits at once."""
