#!/usr/bin/env bash
# Spark's standalone master, in the foreground.
set -euo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
source "$here/environment.sh"

exec "$SPARK_HOME/bin/spark-class" org.apache.spark.deploy.master.Master \
  --host "$MASTER_HOST" --port "$MASTER_PORT" --webui-port "$MASTER_UI_PORT"
