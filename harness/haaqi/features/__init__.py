"""What is compared of the two ears: cepstrum, covariance, spectrum."""
