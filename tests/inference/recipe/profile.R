# Limits of the profile likelihood: where the smallest deviance with a coefficient held at b exceeds
# the smallest of all by the 95% quantile of chi2 on one degree of freedom. R's confint interpolates
# between a few points; here a root is found, to about 1e-12.

# Newton's steps, halved while the deviance grows: with an offset far from the estimate, glm.fit may
# run off. Each begins where the quadratic form at the estimate is smallest.
profile_deviance <- function(rows, at, b, beta, V) {
  X <- rows$X[, -at, drop = FALSE]
  o <- rows$o + b * rows$X[, at]
  side <- 2 * rows$y - 1
  deviance_at <- function(rest) {
    -2 * sum(rows$w * plogis(side * (drop(X %*% rest) + o), log.p = TRUE))
  }
  rest <- beta[-at] + V[-at, at] / V[at, at] * (b - beta[at])
  for (step in 1:100) {
    p <- plogis(drop(X %*% rest) + o)
    gradient <- crossprod(X, rows$w * (rows$y - p))
    move <- drop(solve(crossprod(X, rows$w * p * (1 - p) * X), gradient))
    promise <- sum(move * gradient)
    before <- deviance_at(rest)
    for (half in 1:30) {
      if (promise < 1e-10 || deviance_at(rest + move) <= before) break
      move <- move / 2
    }
    rest <- rest + move
    if (promise < 1e-20) break
  }
  stopifnot(promise < 1e-12)
  deviance_at(rest)
}

# One end, away from the estimate, in the direction of `sign`. `error` sets the first step.
profile_end <- function(excess, estimate, error, sign) {
  beyond <- function(step) excess(estimate + sign * step)
  found <- uniroot(
    beyond, c(0.5, 3) * error,
    extendInt = "upX", tol = 1e-14 * error, maxiter = 200
  )
  stopifnot(abs(found$f.root) < 1e-8)
  estimate + sign * found$root
}

profile_limits <- function(rows, beta, covariance, smallest) {
  threshold <- smallest + qchisq(0.95, 1)
  ends <- vapply(seq_along(beta), function(at) {
    excess <- function(b) profile_deviance(rows, at, b, beta, covariance) - threshold
    error <- sqrt(covariance[at, at])
    c(profile_end(excess, beta[at], error, -1), profile_end(excess, beta[at], error, 1))
  }, c(0, 0))
  unname(t(ends))
}

confint_limits <- function(fit, rows) {
  limits <- suppressWarnings(suppressMessages(confint(fit))) # of fitted probabilities 0 or 1
  unname(limits[in_order(fit, rows), ])
}
