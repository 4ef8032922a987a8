"""What we need of Spark itself: the JVM, Spark Connect, sessions, settings, linear algebra."""
