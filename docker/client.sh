#!/usr/bin/env bash
# Python with the given arguments, whose Spark sessions are the cluster's.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment.sh"

# Executors call the driver back, so they must find it by this name.
: "${CLIENT_HOST:=$HOSTNAME}" "${EXECUTOR_MEMORY:=${WORKER_MEMORY:-1g}}"
export PYSPARK_SUBMIT_ARGS="--master spark://$MASTER_HOST:$MASTER_PORT \
  --conf spark.driver.host=$CLIENT_HOST --conf spark.executor.memory=$EXECUTOR_MEMORY pyspark-shell"

exec "$PYSPARK_PYTHON" "$@"
