# What is fitted, and the rows of it.

# Columns of the file are the features, in this order. `weights` says what weights mean: "counts"
# (a row stands for w equal rows) or "probabilities" (a row says w times as much).
case <- function(file, columns, weight = NULL, weights = "counts", offset = NULL, cluster = NULL,
                 intercept = TRUE, groups = list()) {
  list(
    file = paste0(file, ".csv"), columns = I(columns), weight = weight,
    weights = if (!is.null(weight)) weights, offset = offset, cluster = cluster,
    intercept = intercept, groups = lapply(groups, I)
  )
}

# Labels y, features with the intercept's column last X, weights w, offsets o, clusters.
rows_of <- function(case) {
  data <- read.csv(file.path("data", case$file))
  X <- as.matrix(data[, case$columns])
  if (case$intercept) X <- cbind(X, "(Intercept)" = 1)
  column <- function(name, otherwise) if (is.null(name)) otherwise else data[[name]]
  list(
    y = data$label, X = X, w = column(case$weight, rep(1, nrow(X))),
    o = column(case$offset, rep(0, nrow(X))), cluster = column(case$cluster, NULL),
    columns = case$columns, intercept = case$intercept
  )
}

# Each row as often as its weight says.
repeated <- function(rows) {
  stopifnot(rows$w == round(rows$w))
  again <- rep(seq_along(rows$y), rows$w)
  rows$y <- rows$y[again]
  rows$X <- rows$X[again, , drop = FALSE]
  rows$o <- rows$o[again]
  rows$w <- rep(1, length(again))
  rows
}

only <- function(rows, kept, columns = rows$columns) {
  rows$y <- rows$y[kept]
  rows$w <- rows$w[kept]
  rows$o <- rows$o[kept]
  rows$columns <- columns
  rows$X <- rows$X[kept, c(columns, if (rows$intercept) "(Intercept)"), drop = FALSE]
  rows
}

tight <- list(epsilon = 1e-14, maxit = 100)

# glm ends with the covariance at the point before its last step. Begun anew at the estimate, both
# belong to it.
fit_glm <- function(rows, without = character(0), ...) {
  columns <- setdiff(rows$columns, without)
  data <- data.frame(rows$X[, columns, drop = FALSE], label = rows$y, weight = rows$w, off = rows$o)
  terms <- if (length(columns)) columns else "1"
  formula <- reformulate(terms, "label", intercept = rows$intercept)
  if (!length(columns) && !rows$intercept) formula <- label ~ 0
  fit <- NULL
  for (again in 1:4) {
    fit <- do.call(glm, list(
      formula, binomial(), data,
      weights = quote(weight), offset = quote(off), control = tight,
      start = if (length(columns)) coef(fit), ...
    ))
  }
  stopifnot(fit$converged)
  fit
}

# Features in order, the intercept last.
in_order <- function(fit, rows) match(colnames(rows$X), names(coef(fit)))
beta_of <- function(fit, rows) unname(coef(fit)[in_order(fit, rows)])
ordered <- function(matrix, fit, rows) {
  at <- in_order(fit, rows)
  unname(matrix[at, at, drop = FALSE])
}
covariance_of <- function(fit, rows) ordered(vcov(fit), fit, rows)

# No separation if the next Newton step moves no margin by one: see the largest step p a'd.
largest_step <- function(fit, rows) {
  p <- fitted(fit)
  d <- covariance_of(fit, rows) %*% crossprod(rows$X, rows$w * (rows$y - p))
  a <- (2 * rows$y - 1) * drop(rows$X %*% d)
  max(ifelse(rows$y == 1, 1 - p, p) * a)
}
