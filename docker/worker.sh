#!/usr/bin/env bash
# One of Spark's standalone workers, in the foreground. Its executors keep their files in LOCAL_DIR.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment.sh"

: "${WORKER_HOST:=$HOSTNAME}" "${WORKER_PORT:=0}" "${WORKER_UI_PORT:=8081}"
: "${WORKER_CORES:=1}" "${WORKER_MEMORY:=1g}"
: "${WORK_DIR:=/tmp/spark/work}" "${LOCAL_DIR:=/tmp/spark/local}"
mkdir -p "$WORK_DIR" "$LOCAL_DIR"
export SPARK_LOCAL_DIRS=$LOCAL_DIR

exec "$SPARK_HOME/bin/spark-class" org.apache.spark.deploy.worker.Worker \
  --host "$WORKER_HOST" --port "$WORKER_PORT" --webui-port "$WORKER_UI_PORT" \
  --cores "$WORKER_CORES" --memory "$WORKER_MEMORY" --work-dir "$WORK_DIR" \
  "spark://$MASTER_HOST:$MASTER_PORT"
