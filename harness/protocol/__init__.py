"""What host and sandboxes say to each other: records, errors and the lock."""
