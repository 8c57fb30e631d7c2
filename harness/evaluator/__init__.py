"""Inside the sandbox: scores the examples of one job."""
