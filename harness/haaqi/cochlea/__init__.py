"""The auditory periphery: middle ear, filter bank, compression, inner hair cells, threshold noise."""
