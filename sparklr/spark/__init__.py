"""The parts that depend on Spark itself: JVM, Connect, sessions, settings, linear algebra."""
