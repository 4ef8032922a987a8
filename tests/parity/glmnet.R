# Reference coefficients for penalised binomial and multinomial logistic regression.
#
#   Rscript glmnet.R            (run inside this folder; writes glmnet.json)
#
# Every case minimises
#
#   (1 / sum(w)) sum_i w_i loss_i
#     + regParam * ((1 - alpha) / 2 * ||s * b||_2^2 + alpha * ||s * b||_1)
#
# where the intercepts are not penalised, alpha is elasticNetParam, and s_j is the weighted
# unbiased standard deviation of column j (denominator sum(w) - sum(w^2) / sum(w)) with
# standardization, and 1 without.
#
# glmnet's own `standardize = TRUE` uses the standard deviation with denominator N, so the
# columns are divided by s here, glmnet runs with `standardize = FALSE`, and the coefficients
# are transformed back. glmnet rescales weights to sum to N, which leaves the objective as it
# is above. `loss` is the negative log-likelihood; multinomial models have a coefficient row
# for each class.
#
# At glmnet's usual thresholds the coefficients have six to eight correct digits. The threshold
# below makes it iterate until the coefficients themselves are right to about ten.

suppressPackageStartupMessages({
  library(glmnet)
  library(jsonlite)
})

# No early end of the lambda path, and enough Newton steps for the tight threshold.
glmnet.control(fdev = 0, devmax = 1, mxitnr = 1000)

weighted_sd <- function(x, w) {
  mean <- colSums(w * x) / sum(w)
  squares <- colSums(w * sweep(x, 2, mean)^2)
  sqrt(squares / (sum(w) - sum(w^2) / sum(w)))
}

# A decreasing path of penalties that ends in `target`; each fit starts from the previous one.
lambda_path <- function(target) {
  end <- if (target > 0) target else 1e-6
  path <- exp(seq(log(1), log(end), length.out = 40))
  if (target > 0) c(path[-length(path)], target) else c(path, 0)
}

fit_glmnet <- function(x, y, w, family, reg, alpha, intercept) {
  path <- lambda_path(reg)
  fit <- glmnet(
    x, y,
    family = family, weights = w, alpha = alpha, lambda = path,
    intercept = intercept, standardize = FALSE, thresh = 1e-22, maxit = 1e8
  )
  stopifnot(fit$jerr == 0, length(fit$lambda) == length(path)) # converged, to the end
  last <- length(fit$lambda)
  if (family == "binomial") {
    list(b = matrix(as.numeric(fit$beta[, last]), nrow = 1), b0 = as.numeric(fit$a0[last]))
  } else {
    b <- t(sapply(fit$beta, function(rows) as.numeric(rows[, last])))
    list(b = unname(b), b0 = as.numeric(fit$a0[, last]))
  }
}

fit_case <- function(data, family, penalty, intercept, standardization, weighted) {
  features <- grep("^x", names(data))
  x <- as.matrix(data[, features])
  y <- factor(data$label)
  w <- if (weighted) data$weight else rep(1, nrow(data))
  s <- if (standardization) weighted_sd(x, w) else rep(1, ncol(x))

  fit <- fit_glmnet(
    sweep(x, 2, s, "/"), y, w, family, penalty$regParam, penalty$elasticNetParam, intercept
  )
  b <- sweep(fit$b, 2, s, "/")
  b0 <- if (intercept) fit$b0 else 0 * fit$b0
  if (family == "multinomial") {
    # The softmax does not change when a constant is added to every class: intercepts, and
    # coefficients without a penalty, are fixed by having mean zero over the classes.
    b0 <- b0 - mean(b0)
    if (penalty$regParam == 0) b <- sweep(b, 2, colMeans(b))
  }

  list(
    family = unbox(family),
    regParam = unbox(penalty$regParam),
    elasticNetParam = unbox(penalty$elasticNetParam),
    fitIntercept = unbox(intercept),
    standardization = unbox(standardization),
    weighted = unbox(weighted),
    source = unbox("glmnet"),
    coefficients = b,
    intercepts = b0
  )
}

penalties <- list(
  list(regParam = 0, elasticNetParam = 0),
  list(regParam = 0.05, elasticNetParam = 0),
  list(regParam = 0.02, elasticNetParam = 1),
  list(regParam = 0.05, elasticNetParam = 0.5)
)

cases <- list()
for (family in c("binomial", "multinomial")) {
  file <- if (family == "binomial") "binary.csv" else "multiclass.csv"
  data <- read.csv(file.path("data", file))
  for (penalty in penalties) {
    for (intercept in c(TRUE, FALSE)) {
      for (standardization in c(TRUE, FALSE)) {
        for (weighted in c(FALSE, TRUE)) {
          case <- fit_case(data, family, penalty, intercept, standardization, weighted)
          cases[[length(cases) + 1]] <- case
        }
      }
    }
  }
}

# One case per line.
lines <- vapply(cases, function(case) as.character(toJSON(case, digits = NA)), character(1))
writeLines(c("[", paste0(lines, c(rep(",", length(lines) - 1), "")), "]"), "glmnet.json")
