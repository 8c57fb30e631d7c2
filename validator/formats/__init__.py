"""FLAC headers, decoding within a frame budget, and scale files."""
