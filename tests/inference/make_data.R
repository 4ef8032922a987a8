# Data sets that R and its packages ship, as plain numbers.
#
#   Rscript make_data.R            (run inside this folder; writes data/*.csv)
#
# The label comes first, as 0 .. K-1, then the features, then what a fit may need beside them:
# weight, offset, cluster. No row is left out or moved. Needs MASS and brglm2; the licences are
# in data/README.md. The other files are written by make_data.py.

# Fifteen digits give back every number of these sets; 17 would print 0.1 as 0.10000000000000001.
write_set <- function(name, data) {
  shown <- lapply(data, function(column) formatC(column, digits = 15, width = 1, format = "g"))
  back <- lapply(shown, as.numeric)
  stopifnot(identical(unname(back), unname(lapply(data, as.numeric))))
  rows <- do.call(paste, c(shown, sep = ","))
  writeLines(c(paste(names(data), collapse = ","), rows), file.path("data", paste0(name, ".csv")))
}

flag <- function(condition) as.numeric(condition)

birthwt <- MASS::birthwt
write_set("birthwt", with(birthwt, data.frame(
  label = low,
  race2 = flag(race == 2), race3 = flag(race == 3),
  smoke, ht, ui, age, lwt, ptl, ftv,
  weight = 1 + (seq_along(low) - 1) %% 3 # 1, 2, 3, 1, 2, 3, ...
)))

data(endometrial, package = "brglm2")
write_set("endometrial", with(endometrial, data.frame(label = HG, NV, PI, EH)))

write_set("iris_three", with(iris, data.frame(
  label = as.integer(Species) - 1, # setosa, versicolor, virginica
  sepal_length = Sepal.Length, sepal_width = Sepal.Width,
  petal_length = Petal.Length, petal_width = Petal.Width
)))
iris_two <- iris[iris$Species != "setosa", ]
write_set("iris_two", with(iris_two, data.frame(
  label = flag(Species == "virginica"), # against versicolor
  sepal_length = Sepal.Length, sepal_width = Sepal.Width,
  petal_length = Petal.Length, petal_width = Petal.Width
)))

ucb <- as.data.frame(UCBAdmissions)
write_set("ucb", with(ucb, data.frame(
  label = flag(Admit == "Admitted"),
  female = flag(Gender == "Female"),
  dept_b = flag(Dept == "B"), dept_c = flag(Dept == "C"), dept_d = flag(Dept == "D"),
  dept_e = flag(Dept == "E"), dept_f = flag(Dept == "F"),
  weight = Freq
)))

bacteria <- MASS::bacteria
write_set("bacteria", with(bacteria, data.frame(
  label = flag(y == "y"),
  drug = flag(trt == "drug"), drug_plus = flag(trt == "drug+"),
  late = flag(week > 2),
  cluster = as.integer(ID) # in the order of the levels
)))

# The effect of glucose held at 0.03 per unit, about the estimate: log odds add up as an offset.
pima <- function(data) {
  with(data, data.frame(
    label = flag(type == "Yes"),
    npreg, glu, bp, skin, bmi, ped, age,
    offset = round(0.03 * (glu - 120), 2)
  ))
}
write_set("pima_train", pima(MASS::Pima.tr))
write_set("pima_test", pima(MASS::Pima.te))

data(alligators, package = "brglm2")
write_set("alligators", with(alligators, data.frame(
  label = as.integer(foodchoice) - 1, # Fish, Invertebrate, Reptile, Bird, Other
  oklawaha = flag(lake == "Oklawaha"), trafford = flag(lake == "Trafford"),
  george = flag(lake == "George"), large = flag(size == ">2.3"), female = flag(gender == "Female"),
  weight = freq # zeros too
)))

# Made here: 2,000 rows with few events, as in data on faults or fraud.
set.seed(20261126)
rows <- 2000
dose <- round(rnorm(rows), 2)
exposed <- rbinom(rows, 1, 0.2)
years <- round(rexp(rows, 0.2), 1)
chance <- plogis(-5.2 + 0.8 * dose + 0.9 * exposed + 0.06 * years)
write_set("rare", data.frame(label = rbinom(rows, 1, chance), dose, exposed, years))
