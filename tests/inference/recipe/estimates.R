# Estimates, and tests from deviances and covariances.

# p = 2 (1 - F(|z|)) by the upper tail; its logarithm where p itself is 0.
normal_table <- function(beta, covariance) {
  errors <- sqrt(diag(covariance))
  z <- beta / errors
  far <- qnorm(0.975) * errors
  list(
    standard_errors = errors,
    z = z,
    p = 2 * pnorm(abs(z), lower.tail = FALSE),
    log10_p = (log(2) + pnorm(abs(z), lower.tail = FALSE, log.p = TRUE)) / log(10),
    wald_limits = unname(cbind(beta - far, beta + far))
  )
}

# AIC by the formula: R rounds weights that are not whole.
deviances <- function(fit, rows) {
  list(
    rows = length(rows$y), deviance = deviance(fit), null_deviance = fit$null.deviance,
    df_residual = fit$df.residual, df_null = fit$df.null,
    log_likelihood = -deviance(fit) / 2,
    aic = deviance(fit) + 2 * ncol(rows$X),
    bic = deviance(fit) + log(sum(rows$w > 0)) * ncol(rows$X)
  )
}

against_chi2 <- function(statistic, df) {
  list(
    statistic = statistic, degrees_of_freedom = df,
    p = pchisq(statistic, df, lower.tail = FALSE),
    log10_p = pchisq(statistic, df, lower.tail = FALSE, log.p = TRUE) / log(10)
  )
}

null_test <- function(fit) {
  against_chi2(fit$null.deviance - deviance(fit), fit$df.null - fit$df.residual)
}

# Columns of each term: groups first named, all other columns for themselves.
terms_of <- function(rows, groups) {
  single <- setdiff(rows$columns, unlist(groups))
  c(groups, setNames(as.list(single), single))
}

drop_one <- function(fit, rows, terms) {
  lapply(terms, function(columns) {
    smaller <- fit_glm(rows, without = columns)
    found <- against_chi2(deviance(smaller) - deviance(fit), length(columns))
    c(list(deviance = deviance(smaller)), found)
  })
}

wald_joint <- function(beta, covariance, rows, terms) {
  lapply(terms, function(columns) {
    at <- match(columns, colnames(rows$X))
    V <- covariance[at, at, drop = FALSE]
    against_chi2(drop(beta[at] %*% solve(V, beta[at])), length(at))
  })
}

# n is the number of units: rows, or the sum of counts. Tjur's measure has no null model.
pseudo_r2 <- function(fit, rows) {
  n <- length(rows$y)
  null <- fit$null.deviance
  cox_snell <- 1 - exp((deviance(fit) - null) / n)
  p <- fitted(fit)
  list(
    mcfadden = 1 - deviance(fit) / null,
    cox_snell = cox_snell,
    nagelkerke = cox_snell / (1 - exp(-null / n)),
    tjur = mean(p[rows$y == 1]) - mean(p[rows$y == 0])
  )
}

# Fox and Monette: R is the correlation of the coefficients without the intercept,
# GVIF = det R_SS det R_rest / det R. For one column it is the VIF.
inflation <- function(covariance, rows, terms) {
  features <- seq_along(rows$columns)
  R <- cov2cor(covariance[features, features])
  value <- function(columns) {
    at <- match(columns, rows$columns)
    det(R[at, at, drop = FALSE]) * det(R[-at, -at, drop = FALSE]) / det(R)
  }
  by_term <- vapply(terms, value, 0)
  list(
    vif = vapply(rows$columns, value, 0, USE.NAMES = FALSE),
    gvif = as.list(by_term),
    # Condition numbers: of R, and of the information scaled to a diagonal of ones, with columns as
    # they are (intercept included) and with features centred at their means under v.
    condition_correlation = kappa(R, exact = TRUE),
    condition_uncentred = kappa(cov2cor(solve(covariance)), exact = TRUE),
    condition_centred = kappa(cov2cor(solve(covariance[features, features])), exact = TRUE)
  )
}
