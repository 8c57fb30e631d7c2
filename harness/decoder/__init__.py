"""Inside sandbox 1: FLAC files in, samples out. It sees no file, no reference and no score."""
