"""Exact arithmetic, neurons, layers and fixed filters. Needs torch and numpy; Norse is loaded when a neuron runs."""
