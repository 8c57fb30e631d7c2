"""File formats: FLAC header, decoding within a budget, scale file."""
