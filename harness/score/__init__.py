"""The conductor: takes submissions from a path to stored scores."""
