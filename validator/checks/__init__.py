"""Pure functions: contents in, findings out; one file a question."""
