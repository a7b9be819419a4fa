"""The exact grid, neurons, sparse containers, compiled functions, whole files. Needs torch and numpy."""
