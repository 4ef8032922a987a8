#!/usr/bin/env bash
# Says in one sentence what is wrong with the Java that Spark would start, and what to do.
set -euo pipefail

oldest=17 # Spark 4 does not start on an older one

# Spark takes JAVA_HOME where it is set, and does not fall back to PATH when it finds nothing there.
if [[ -n ${JAVA_HOME:-} ]]; then
  java=$JAVA_HOME/bin/java
  where="JAVA_HOME ($JAVA_HOME)"
  remedy="point JAVA_HOME at a Java $oldest or newer, or unset it if there is one on PATH."
else
  java=java
  where=PATH
  remedy="install one, such as OpenJDK $oldest, and put it first on PATH or point JAVA_HOME at it."
fi

fail() {
  echo "Spark needs Java $oldest or newer, but $1: $remedy" >&2
  exit 1
}

# The exit status counts as well: macOS has a `java` that only says there is none.
report=$("$java" -version 2>&1) || fail "there is no working java in $where"

# `version "17.0.15"`, but `version "1.8.0_402"` for 8 and older.
version=$(sed -n 's/.* version "\([^"]*\)".*/\1/p' <<<"$report" | head -n 1)
major=${version#1.}
major=${major%%[!0-9]*}

[[ -n $major ]] || fail "the one in $where does not name its version"
((major >= oldest)) || fail "the one in $where is $version"
