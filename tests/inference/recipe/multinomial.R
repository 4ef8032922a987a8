# Multinomial fits with class 0 as the base: classes 1 .. K-1 in order, and in each the features,
# then the intercept. Weights are counts.

softmax <- function(X, B) {
  M <- cbind(0, X %*% t(B))
  M <- exp(M - apply(M, 1, max))
  M / rowSums(M)
}

# Scores by row (n, (K-1) k), and the information.
multinomial_parts <- function(rows, B) {
  P <- softmax(rows$X, B)
  classes <- seq_len(nrow(B))
  Y <- outer(rows$y, classes, "==") + 0
  away <- Y - P[, -1, drop = FALSE]
  k <- ncol(rows$X)
  scores <- do.call(cbind, lapply(classes, function(c) rows$w * away[, c] * rows$X))
  H <- matrix(0, length(B), length(B))
  for (a in classes) {
    for (b in classes) {
      v <- rows$w * P[, a + 1] * ((a == b) - P[, b + 1])
      H[(a - 1) * k + 1:k, (b - 1) * k + 1:k] <- crossprod(rows$X, v * rows$X)
    }
  }
  own <- P[cbind(seq_along(rows$y), rows$y + 1)]
  list(scores = scores, H = H, deviance = -2 * sum(rows$w * log(own)))
}

# nnet::multinom's optimiser stops early; Newton's steps go to the last digit.
multinomial_estimate <- function(rows) {
  data <- data.frame(rows$X[, rows$columns], label = factor(rows$y), weight = rows$w)
  theirs <- nnet::multinom(
    reformulate(rows$columns, "label"), data,
    weights = weight, reltol = 1e-15, abstol = 1e-15, maxit = 5000, trace = FALSE
  )
  B <- unname(coef(theirs)[, c(seq_along(rows$columns) + 1, 1)])
  start <- B
  for (step in 1:5) {
    at <- multinomial_parts(rows, B)
    B <- B + matrix(solve(at$H, colSums(at$scores)), nrow(B), byrow = TRUE)
  }
  check_same(B, start, 1e-3)
  list(B = B, parts = multinomial_parts(rows, B))
}

multinomial <- function(case) {
  rows <- rows_of(case)
  found <- multinomial_estimate(rows)
  beta <- as.numeric(t(found$B))
  V <- solve(found$parts$H)
  n <- sum(rows$w)
  shares <- tapply(rows$w, rows$y, sum) / n
  null <- -2 * n * sum(shares * log(shares))
  deviance <- found$parts$deviance
  classes <- nrow(found$B)
  cox_snell <- 1 - exp((deviance - null) / n)
  counts <- V %*% crossprod(found$parts$scores / sqrt(pmax(rows$w, 1))) %*% V
  c(
    setup(case, rows),
    list(base = 0, classes = classes + 1, coefficients = found$B, covariance = V),
    normal_table(beta, V),
    list(
      rows = n, deviance = deviance, null_deviance = null, log_likelihood = -deviance / 2,
      parameters = length(beta), df_model = classes * length(rows$columns),
      df_residual = n - length(beta), # as statsmodels counts
      aic = deviance + 2 * length(beta),
      bic = deviance + log(n) * length(beta), hc0 = counts,
      hc1 = counts * n / (n - length(beta)),
      null_test = against_chi2(null - deviance, classes * length(rows$columns)),
      pseudo_r2 = list(
        mcfadden = 1 - deviance / null, cox_snell = cox_snell,
        nagelkerke = cox_snell / (1 - exp(-null / n))
      )
    )
  )
}
