# Measures of fitted probabilities, row by row and as scores. Rows are units: none is weighted.

# Scores are equal if their first 12 digits are: sums differ in the last ones.
tied <- function(p) signif(p, 12)

# Two rules for ten groups of the score; equal scores stay together by both.
#   quantile    groups lie between R's usual (type 7) quantiles of the scores at 0, 0.1, .. 1,
#               closed above, the first also below; equal quantiles are one (as hoslem.test of R
#               package ResourceSelection: where many rows share the least score, the first two
#               groups are one)
#   cumulative  group ceiling(10 C / n), C the number of rows whose score is not higher
hl_groups <- function(p, rule, groups = 10) {
  p <- tied(p)
  n <- length(p)
  if (rule == "cumulative") {
    count <- vapply(split(p, p), length, 0L)
    upto <- cumsum(as.numeric(count))[match(p, sort(unique(p)))]
    return((groups * upto + n - 1) %/% n)
  }
  breaks <- unique(quantile(p, seq(0, 1, length.out = groups + 1), names = FALSE))
  breaks[c(1, length(breaks))] <- c(-Inf, Inf)
  inner <- signif(breaks, 12) # quantiles between equal scores are that score again
  as.integer(cut(p, inner, labels = FALSE))
}

# Degrees of freedom: groups that have rows less 2; all of them on rows that were not fitted.
hosmer_lemeshow <- function(y, p, fitted_rows = TRUE) {
  one <- function(rule) {
    group <- hl_groups(p, rule)
    n <- as.numeric(tapply(y, group, length))
    observed <- as.numeric(tapply(y, group, sum))
    expected <- as.numeric(tapply(p, group, sum))
    statistic <- sum((observed - expected)^2 / (expected * (1 - expected / n)))
    df <- length(n) - if (fitted_rows) 2 else 0
    c(list(rows = n, observed = observed, expected = expected), against_chi2(statistic, df))
  }
  list(quantile = one("quantile"), cumulative = one("cumulative"))
}

# DeLong: V10 of a positive is the share of negatives below it, ties by half; V01 likewise;
# variance = var V10 / m + var V01 / n, with the unbiased variances. The limits are not cut at 1.
delong <- function(y, p) {
  p <- tied(p)
  positive <- p[y == 1]
  negative <- p[y == 0]
  above <- outer(positive, negative, ">") + outer(positive, negative, "==") / 2
  area <- mean(above)
  variance <- var(rowMeans(above)) / length(positive) + var(colMeans(above)) / length(negative)
  far <- qnorm(0.975) * sqrt(variance)
  roc <- pROC::roc(y, p, direction = "<", levels = c(0, 1), quiet = TRUE)
  check_same(c(area, variance), c(pROC::auc(roc), pROC::var(roc)))
  list(area = area, standard_error = sqrt(variance), limits = c(area - far, area + far))
}

# Regression of labels on the margin: intercept at slope 1, and slope with its own intercept.
calibration <- function(y, margin) {
  at_one <- glm(y ~ 1, binomial(), offset = margin, control = tight)
  free <- glm(y ~ margin, binomial(), control = tight)
  list(
    intercept = coef(at_one)[[1]], slope = coef(free)[[2]], slope_intercept = coef(free)[[1]],
    brier_score = mean((y - plogis(margin))^2), mean_prediction = mean(plogis(margin)),
    share = mean(y)
  )
}

score_measures <- function(y, margin, fitted_rows = TRUE) {
  list(
    hosmer_lemeshow = hosmer_lemeshow(y, plogis(margin), fitted_rows),
    roc = delong(y, plogis(margin)),
    calibration = calibration(y, margin)
  )
}
