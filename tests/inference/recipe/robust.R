# Covariances that do not trust the model: V M V, with V the inverse information.

meat <- function(scores) crossprod(scores)

scores_of <- function(fit, rows) rows$X * (rows$w * (rows$y - fitted(fit)))

# Unit weights: M = sum r^2 x x', HC1 = HC0 n / (n - k).
robust_units <- function(fit, rows) {
  by <- function(type) ordered(sandwich::vcovHC(fit, type = type), fit, rows)
  V <- covariance_of(fit, rows)
  check_same(by("HC0"), V %*% meat(scores_of(fit, rows)) %*% V)
  list(hc0 = by("HC0"), hc1 = by("HC1"))
}

# Probability weights: M = sum w^2 r^2 x x', and n counts rows of positive weight. It is what
# sandwich makes of prior weights, and survey::svyglm is the same times n / (n - 1).
robust_probability <- function(fit, rows) {
  V <- covariance_of(fit, rows)
  hc0 <- V %*% meat(scores_of(fit, rows)) %*% V
  check_same(hc0, ordered(sandwich::vcovCL(fit, type = "HC0", cadjust = FALSE), fit, rows))
  n <- sum(rows$w > 0)
  design <- survey::svydesign(
    ids = ~1, weights = rows$w, data = data.frame(label = rows$y, rows$X[, rows$columns])
  )
  formula <- reformulate(rows$columns, "label", intercept = rows$intercept)
  survey_fit <- suppressWarnings(
    survey::svyglm(formula, design, family = binomial(), control = tight)
  )
  check_same(hc0 * n / (n - 1), ordered(vcov(survey_fit), survey_fit, rows), 1e-6)
  list(rows = n, hc0 = unname(hc0), hc1 = unname(hc0) * n / (n - ncol(rows$X)))
}

# Clusters: M = sum_c u_c u_c', u_c the sum of scores. CR1 = CR0 G / (G - 1), without the factor
# (n - 1) / (n - k); limits by Student's t on G - 1 degrees of freedom.
robust_clusters <- function(fit, rows, beta) {
  by <- function(adjust) {
    found <- sandwich::vcovCL(fit, cluster = rows$cluster, type = "HC0", cadjust = adjust)
    ordered(found, fit, rows)
  }
  V <- covariance_of(fit, rows)
  sums <- rowsum(scores_of(fit, rows), rows$cluster)
  check_same(by(FALSE), V %*% meat(sums) %*% V)
  G <- nrow(sums)
  far <- qt(0.975, G - 1) * sqrt(diag(by(TRUE)))
  list(
    clusters = G, cr0 = by(FALSE), cr1 = by(TRUE),
    cr1_t_limits = unname(cbind(beta - far, beta + far)),
    cr1_t_p = 2 * pt(abs(beta) / sqrt(diag(by(TRUE))), G - 1, lower.tail = FALSE)
  )
}
