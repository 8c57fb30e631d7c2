"""The baselines: a synthetic challenge, the demo, and whether stored and published scores still come out."""
