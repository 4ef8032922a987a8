# Firth's estimate: the score has h_i (1/2 - p_i) beside w_i (y_i - p_i), so that
# log likelihood + log det(information) / 2 is largest.

firth_state <- function(rows, beta) {
  p <- plogis(drop(rows$X %*% beta) + rows$o)
  v <- rows$w * p * (1 - p)
  H <- crossprod(rows$X, v * rows$X)
  if (rcond(H) < 1e-15) return(list(value = -Inf)) # a step went too far
  h <- v * rowSums((rows$X %*% solve(H)) * rows$X)
  likelihood <- sum(rows$w * ifelse(rows$y == 1, log(p), log1p(-p)))
  list(
    value = likelihood + as.numeric(determinant(H)$modulus) / 2, likelihood = likelihood, H = H,
    score = drop(crossprod(rows$X, rows$w * (rows$y - p) + h * (0.5 - p)))
  )
}

# Newton's steps by the information, some coefficients held. Steps get smaller by a constant factor.
firth_steps <- function(rows, beta, free = seq_along(beta)) {
  for (step in 1:2000) {
    at <- firth_state(rows, beta)
    move <- solve(at$H[free, free], at$score[free])
    length <- sqrt(sum(move * at$score[free]))
    for (half in 1:20) {
      beta_new <- replace(beta, free, beta[free] + move)
      if (firth_state(rows, beta_new)$value >= at$value - 1e-12) break
      move <- move / 2
    }
    beta <- beta_new
    if (length < 1e-13) break
  }
  stopifnot(length < 1e-11)
  list(beta = beta, value = firth_state(rows, beta)$value)
}

# brglm2 first, whose limit on the adjusted scores depends on units; then to the last digit.
firth_estimate <- function(rows) {
  data <- data.frame(rows$X[, rows$columns], label = rows$y, weight = rows$w)
  theirs <- glm(
    reformulate(rows$columns, "label"), binomial(), data,
    weights = weight, method = brglm2::brglmFit,
    control = list(type = "AS_mean", epsilon = 1e-10, maxit = 10000)
  )
  ours <- firth_steps(rows, beta_of(theirs, rows))
  check_same(ours$beta, beta_of(theirs, rows), 1e-8)
  V <- unname(solve(firth_state(rows, ours$beta)$H))
  check_same(V, covariance_of(theirs, rows), 1e-7)
  c(ours, list(covariance = V))
}

# Limits and tests of the profile penalised likelihood, as logistf has them: the determinant is that
# of all columns, the held one included.
firth_profile <- function(rows, estimate) {
  held <- function(at, b) {
    V <- estimate$covariance
    start <- estimate$beta + V[, at] / V[at, at] * (b - estimate$beta[at])
    2 * (estimate$value - firth_steps(rows, start, seq_along(start)[-at])$value)
  }
  one <- function(at) {
    excess <- function(b) held(at, b) - qchisq(0.95, 1)
    error <- sqrt(estimate$covariance[at, at])
    b <- estimate$beta[at]
    c(profile_end(excess, b, error, -1), profile_end(excess, b, error, 1), held(at, 0))
  }
  found <- unname(t(vapply(seq_along(estimate$beta), one, c(0, 0, 0))))
  list(
    profile_limits = found[, 1:2], profile_statistics = found[, 3],
    profile_p = pchisq(found[, 3], 1, lower.tail = FALSE)
  )
}

# FLIC (Puhr et al. 2017): the intercept anew, so that the mean prediction is the share of events.
firth <- function(rows) {
  found <- firth_estimate(rows)
  features <- seq_along(rows$columns)
  margin <- drop(rows$X[, features] %*% found$beta[features]) + rows$o
  flic <- suppressWarnings(
    glm(rows$y ~ 1, binomial(), weights = rows$w, offset = margin, control = tight)
  )
  c(
    list(coefficients = found$beta, covariance = found$covariance),
    normal_table(found$beta, found$covariance),
    list(
      penalised_log_likelihood = found$value,
      log_likelihood = firth_state(rows, found$beta)$likelihood
    ),
    firth_profile(rows, found),
    list(flic_intercept = coef(flic)[[1]])
  )
}
