"""What host and sandbox say to each other: records, variables, errors, and the lock of the scoring code."""
