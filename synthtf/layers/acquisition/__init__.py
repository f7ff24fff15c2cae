"""What scanner and reconstruction do to the signal: coils, noise, k-space, slices."""
