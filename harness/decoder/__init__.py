"""Inside the first sandbox: FLAC bytes in, PCM out."""
