"""Figures, with matplotlib (the extra 'plots')."""
