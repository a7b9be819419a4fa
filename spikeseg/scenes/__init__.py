"""Real scenes: objects of any size and speed, each one track and one mask."""
