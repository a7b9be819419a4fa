"""The exact grid, neurons, sparse containers, compiled functions, whole files. Needs torch, numpy, numba; `neurons` Norse."""
