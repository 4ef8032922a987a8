# Reference numbers for inference: data/*.csv in, references.json out.
#
#   Rscript make_references.R            (run inside this folder; a minute)
#   python make_references.py            (then: adds what Python packages say, and compares)
#
# Coefficients, and the rows and columns of covariances, are in the order of the features with the
# intercept last. Fits are those of glm(binomial, epsilon = 1e-14), begun again at its own estimate
# until nothing moves. README.md tells what each key holds; the formulas are in recipe/, next to the
# function of R that they were compared with.
#
# With weights that are counts, all that depends on the number of rows is that of a fit in which
# each row stands as often as its weight says; rows stay together in residuals and influence.
#
# glm warns of fitted probabilities 0 or 1 on iris_two, whose estimate exists all the same, as
# largest_step() proves for each set.

invisible(Sys.setlocale("LC_ALL", "C"))

# Two ways to the same numbers.
check_same <- function(one, other, tolerance = 1e-9) {
  away <- max(abs(one - other)) / max(abs(one))
  if (!is.finite(away) || away > tolerance) stop("two ways differ by ", format(away))
}

for (file in sort(list.files("recipe", "[.]R$", full.names = TRUE))) source(file)

setup <- function(case, rows) {
  names <- sub("(Intercept)", "(intercept)", colnames(rows$X), fixed = TRUE)
  c(case, list(terms = I(names)))
}

# What needs no units of rows.
estimates <- function(fit, rows) {
  beta <- beta_of(fit, rows)
  V <- covariance_of(fit, rows)
  c(list(coefficients = beta, covariance = V), normal_table(beta, V))
}

units_of <- function(fit, rows, groups) {
  beta <- beta_of(fit, rows)
  V <- covariance_of(fit, rows)
  terms <- terms_of(rows, groups)
  robust <- robust_units(fit, rows)
  c(
    deviances(fit, rows), robust,
    list(
      null_test = null_test(fit),
      drop_one = if (length(terms) > 1) drop_one(fit, rows, terms),
      wald_tests = wald_joint(beta, V, rows, terms),
      pseudo_r2 = pseudo_r2(fit, rows),
      inflation = if (rows$intercept && length(terms) > 1) inflation(V, rows, terms),
      marginal_effects = marginal_effects(rows, beta, V, robust$hc0)
    ),
    score_measures(rows$y, drop(rows$X %*% beta) + rows$o)
  )
}

binary <- function(case) {
  rows <- rows_of(case)
  fit <- fit_glm(rows)
  stopifnot(largest_step(fit, rows) < 1e-6)
  beta <- beta_of(fit, rows)
  V <- covariance_of(fit, rows)
  counted <- !is.null(case$weight)
  units <- if (counted) repeated(rows) else rows
  unit_fit <- if (counted) fit_glm(units) else fit
  check_same(beta, beta_of(unit_fit, units), 1e-10)
  c(
    setup(case, rows), estimates(fit, rows), units_of(unit_fit, units, case$groups),
    list(
      profile_limits = profile_limits(rows, beta, V, deviance(fit)),
      confint_limits = confint_limits(fit, rows),
      residuals = residuals_of(fit), influence = influence_of(fit, rows),
      clusters = if (!is.null(rows$cluster)) robust_clusters(fit, rows, beta)
    ),
    if (counted) {
      list(
        probability = robust_probability(fit, rows),
        weighted_rows = list( # as R's glm counts with prior weights
          rows = sum(rows$w > 0), df_residual = fit$df.residual, df_null = fit$df.null,
          bic = deviance(fit) + log(sum(rows$w > 0)) * ncol(rows$X)
        )
      )
    }
  )
}

# Class weights W / (K W_y) are probabilities: naive errors, and those of the sandwich with w^2.
balanced <- function(case) {
  rows <- rows_of(case)
  rows$w <- length(rows$y) / (2 * tabulate(rows$y + 1)[rows$y + 1])
  fit <- suppressWarnings(fit_glm(rows))
  beta <- beta_of(fit, rows)
  V <- covariance_of(fit, rows)
  probability <- suppressWarnings(robust_probability(fit, rows))
  c(
    setup(case, rows),
    list(class_weights = as.numeric(tapply(rows$w, rows$y, mean))),
    estimates(fit, rows),
    list(
      rows = length(rows$y), deviance = deviance(fit), null_deviance = fit$null.deviance,
      df_residual = fit$df.residual, df_null = fit$df.null, probability = probability,
      hc0_standard_errors = sqrt(diag(probability$hc0)),
      calibration = calibration(rows$y, drop(rows$X %*% beta)) # on rows without weights
    )
  )
}

# A flag that separates: its coefficient is infinite, all else is the fit of the rows without it.
separated <- function(case, flag) {
  rows <- rows_of(case)
  with_flag <- rows$X[, flag] == 1
  stopifnot(rows$y[with_flag] == 1, any(with_flag))
  rest <- only(rows, !with_flag, setdiff(rows$columns, flag))
  fit <- fit_glm(rest)
  stopifnot(largest_step(fit, rest) < 1e-6)
  at <- match(flag, colnames(rows$X))
  k <- ncol(rows$X)
  threshold <- deviance(fit) + qchisq(0.95, 1)
  # From far out, where nothing is in excess, inwards.
  excess <- function(b) profile_deviance(rows, at, b, rep(0, k), diag(k)) - threshold
  lower <- profile_end(excess, 15, 5, -1)
  beta <- beta_of(fit, rest)
  V <- covariance_of(fit, rest)
  null <- fit_glm(only(rows, TRUE, character(0)))
  c(
    setup(case, rows),
    list(
      separated = TRUE, kind = "quasi-complete", infinite = I(flag), rows = length(rows$y),
      rows_beyond = sum(with_flag),
      rest_terms = I(sub("(Intercept)", "(intercept)", colnames(rest$X), fixed = TRUE)),
      rest_coefficients = beta, rest_covariance = V,
      rest_profile_limits = profile_limits(rest, beta, V, deviance(fit)),
      infinite_lower_limit = lower,
      deviance = deviance(fit), null_deviance = deviance(null), firth = firth(rows)
    )
  )
}

# The model of one file on the rows of another.
held_out <- function(fitted_case, case) {
  beta <- beta_of(fit_glm(rows_of(fitted_case)), rows_of(fitted_case))
  rows <- rows_of(case)
  margin <- drop(rows$X %*% beta) + rows$o
  own <- ifelse(rows$y == 1, margin, -margin)
  c(
    setup(case, rows),
    list(
      coefficients = beta, rows = length(rows$y),
      deviance = -2 * sum(plogis(own, log.p = TRUE))
    ),
    score_measures(rows$y, margin, fitted_rows = FALSE)
  )
}

# Race as one term, by R's own functions.
check_terms <- function(found, rows) {
  data <- data.frame(rows$X[, rows$columns], label = rows$y)
  data$race <- factor(1 + data$race2 + 2 * data$race3)
  fit <- glm(
    label ~ race + smoke + ht + ui + age + lwt + ptl + ftv, binomial(), data,
    control = tight
  )
  dropped <- drop1(fit, test = "LRT")
  check_same(dropped$LRT[-1], vapply(found$drop_one, `[[`, 0, "statistic"), 1e-8)
  check_same(dropped$`Pr(>Chi)`[-1], vapply(found$drop_one, `[[`, 0, "p"), 1e-8)
  check_same(car::vif(fit)[, 1], unlist(found$inflation$gvif), 1e-8)
  wald <- lmtest::waldtest(fit, . ~ . - race, test = "Chisq")
  check_same(wald$Chisq[2], found$wald_tests$race$statistic, 1e-8)
}

birthwt_columns <- c("race2", "race3", "smoke", "ht", "ui", "age", "lwt", "ptl", "ftv")
race <- list(race = c("race2", "race3"))
dept <- list(dept = paste0("dept_", c("b", "c", "d", "e", "f")))
pima_columns <- c("npreg", "glu", "bp", "skin", "bmi", "ped", "age")
iris_columns <- c("sepal_length", "sepal_width", "petal_length", "petal_width")
pima <- case("pima_train", pima_columns)

plain <- list(
  birthwt = case("birthwt", birthwt_columns, groups = race),
  birthwt_weighted = case("birthwt", birthwt_columns, weight = "weight", groups = race),
  birthwt_origin = case("birthwt", birthwt_columns, intercept = FALSE, groups = race),
  spector = case("spector", c("gpa", "tuce", "psi")),
  iris_two = case("iris_two", iris_columns),
  ucb = case("ucb", c("female", unlist(dept, use.names = FALSE)), weight = "weight", groups = dept),
  bacteria = case(
    "bacteria", c("drug", "drug_plus", "late"),
    cluster = "cluster", groups = list(treatment = c("drug", "drug_plus"))
  ),
  pima = pima,
  pima_offset = case("pima_train", setdiff(pima_columns, "glu"), offset = "offset"),
  rare = case("rare", c("dose", "exposed", "years"))
)

found <- lapply(plain, binary)
check_terms(found$birthwt, rows_of(plain$birthwt))
for (name in c("birthwt", "birthwt_weighted")) found[[name]]$firth <- firth(rows_of(plain[[name]]))
found$pima_held_out <- held_out(pima, case("pima_test", pima_columns))
found$rare_balanced <- balanced(plain$rare)
found$endometrial <- separated(case("endometrial", c("NV", "PI", "EH")), "NV")
found$sex2 <- separated(case("sex2", c("age", "oc", "vic", "vicl", "vis", "dia")), "dia")
found$anes96 <- multinomial(case("anes96", c("logpopul", "selfLR", "age", "educ", "income")))
lakes <- c("oklawaha", "trafford", "george")
found$alligators <- multinomial(
  case("alligators", c(lakes, "large"), weight = "weight", groups = list(lake = lakes))
)
three <- case("iris_three", iris_columns)
found$iris_three <- c(setup(three, rows_of(three)), list(classes = 3, separated = TRUE))

packages <- c("MASS", "nnet", "sandwich", "lmtest", "brglm2", "car", "survey", "pROC")
versions <- lapply(setNames(packages, packages), function(name) as.character(packageVersion(name)))
versions <- c(list(R = paste(R.version$major, R.version$minor, sep = ".")), versions)
writeLines(to_json(list(versions = versions, cases = found)), "references.json")
