"""The baselines: a synthetic challenge, the demo, and the comparison with stored and published scores."""
