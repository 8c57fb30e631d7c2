"""A zip, a tar or a folder as safe, read-only members."""
