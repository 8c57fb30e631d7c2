"""A zip, tar or folder as safe read-only members."""
