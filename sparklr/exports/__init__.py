"""A model taken elsewhere: SQL, ONNX, scikit-learn, Spark's own class, and a card in Markdown."""
