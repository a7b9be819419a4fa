"""The motion layer: velocity-tuned maps that add up evidence along a motion before they decide, and the paths of their
winners."""
