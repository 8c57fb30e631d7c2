"""Finding, and every code with its reason and its fix."""
