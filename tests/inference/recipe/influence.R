# Residuals and influence, by R's own functions. Rows with weights stay one row.

FIRST <- 10

residuals_of <- function(fit) {
  kinds <- c("response", "pearson", "deviance", "working")
  values <- lapply(setNames(kinds, kinds), function(kind) unname(residuals(fit, kind)))
  lapply(values, function(r) list(first = r[seq_len(FIRST)], sum_of_squares = sum(r^2)))
}

# h_i = v_i x'Vx, Cook's distance r_P^2 h / (k (1 - h)^2), and one step's change of the coefficients
# without the row, V x w r / (1 - h) (Pregibon). R's dfbeta has deviance residuals in place of r.
influence_of <- function(fit, rows) {
  all_rows <- length(rows$y) < 200
  shown <- function(values) unname(if (all_rows) values else values[seq_len(FIRST)])
  h <- hatvalues(fit)
  cook <- cooks.distance(fit)
  change <- (scores_of(fit, rows) / (1 - h)) %*% covariance_of(fit, rows)
  theirs <- change * residuals(fit, "deviance") / residuals(fit, "pearson")
  check_same(theirs, unname(dfbeta(fit))[, in_order(fit, rows)])
  list(
    hat = shown(h), hat_sum = sum(h), hat_max = max(h),
    cook = shown(cook), cook_sum = sum(cook), cook_max = max(cook),
    dfbeta_first = unname(change[seq_len(FIRST), ])
  )
}

# Average marginal effects over the rows, held fixed. Effect of x_j by the derivative,
# b_j sum w p (1 - p) / W, and of a flag (0 or 1 in all rows) also by the difference
# sum w (p at x_j = 1 - p at x_j = 0) / W, all other columns as they are. The error is that of
# J V J', J the gradient.
marginal_effects <- function(rows, beta, V, robust) {
  flags <- Filter(function(name) all(rows$X[, name] %in% c(0, 1)), rows$columns)
  with_errors <- function(one, columns) {
    found <- lapply(columns, one, rows = rows, beta = beta)
    J <- do.call(rbind, lapply(found, `[[`, "gradient"))
    list(
      columns = I(columns), effects = I(vapply(found, `[[`, 0, "effect")),
      standard_errors = I(sqrt(diag(J %*% V %*% t(J)))),
      hc0_standard_errors = I(sqrt(diag(J %*% robust %*% t(J))))
    )
  }
  list(
    derivative = with_errors(by_derivative, as.character(rows$columns)),
    difference = if (length(flags)) with_errors(by_difference, flags)
  )
}

by_derivative <- function(column, rows, beta) {
  at <- match(column, colnames(rows$X))
  p <- plogis(drop(rows$X %*% beta) + rows$o)
  share <- rows$w / sum(rows$w)
  A <- sum(share * p * (1 - p))
  gradient <- beta[at] * colSums(share * p * (1 - p) * (1 - 2 * p) * rows$X)
  gradient[at] <- gradient[at] + A
  list(effect = beta[at] * A, gradient = gradient)
}

by_difference <- function(column, rows, beta) {
  share <- rows$w / sum(rows$w)
  at_value <- function(value) {
    X <- rows$X
    X[, column] <- value
    p <- plogis(drop(X %*% beta) + rows$o)
    list(mean = sum(share * p), gradient = colSums(share * p * (1 - p) * X))
  }
  one <- at_value(1)
  zero <- at_value(0)
  list(effect = one$mean - zero$mean, gradient = one$gradient - zero$gradient)
}
