"""What is written and read back: saved folders, and a model as JSON text."""
