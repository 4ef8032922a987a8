# JSON with all 17 digits, which jsonlite does not write. Vectors of one number are numbers, unless
# they are wrapped by I(). NA, NULL and infinite numbers are null.

to_json <- function(x) {
  if (is.null(x)) return("null")
  if (is.matrix(x)) return(array_of(apply(x, 1, function(row) to_json(I(row)))))
  if (is.list(x)) {
    parts <- vapply(x, to_json, "")
    if (is.null(names(x))) return(array_of(parts))
    return(paste0("{", paste0("\"", names(x), "\": ", parts, collapse = ", "), "}"))
  }
  scalars <- if (is.character(x)) {
    paste0("\"", x, "\"")
  } else if (is.logical(x)) {
    tolower(as.character(x))
  } else {
    ifelse(is.finite(x), sprintf("%.17g", as.numeric(x)), "null")
  }
  if (length(x) == 1 && !inherits(x, "AsIs")) scalars else array_of(scalars)
}

array_of <- function(parts) paste0("[", paste(parts, collapse = ", "), "]")
