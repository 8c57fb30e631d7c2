"""The Docker sandbox: the evaluator image, and one hardened container per job."""
