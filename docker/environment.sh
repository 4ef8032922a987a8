# What the scripts of all roles share: who the master is, and which Python and Spark run.
: "${MASTER_HOST:=master}" "${MASTER_PORT:=7077}" "${MASTER_UI_PORT:=8080}"
: "${PYSPARK_PYTHON:=$(command -v python3)}"
# The driver's Python and the workers' must be the same.
export PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON=$PYSPARK_PYTHON
if [[ -z ${SPARK_HOME:-} ]]; then
  SPARK_HOME=$("$PYSPARK_PYTHON" -c 'import os, pyspark; print(os.path.dirname(pyspark.__file__))')
fi
export SPARK_HOME
