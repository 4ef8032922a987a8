"""From Params to coefficients: specs, problems, the choice of a solver, many fits at once."""
