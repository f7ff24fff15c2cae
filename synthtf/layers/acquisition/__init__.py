"""Effects of scanner and reconstruction on the signal: coils, noise, k-space, slices."""
