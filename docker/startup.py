"""Run by Jupyter's kernel as it starts: notebooks find the cluster's session as `spark`."""

from pyspark.sql import SparkSession

spark = SparkSession.builder.appName("notebook").getOrCreate()
