"""The Docker sandbox: the engine, the evaluator image, and one container per job."""
