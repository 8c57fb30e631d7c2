"""How far the processed signal lags behind the reference, as a whole and in each channel."""
