"""The model of the ear: filters, compression, hair cells, noise, loudness."""
