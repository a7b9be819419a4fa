"""What pages and videos have in common: colours on black that no common colour blindness confuses [Okabe and Ito 2008], as
#rrggbb."""

OBJECTS = ("#e69f00", "#56b4e9", "#009e73", "#f0e442", "#d55e00", "#cc79a7")
"""Of objects, in turn by their number; blue, too dark on black, is left out."""
ON, OFF, STAR, GROUND, TEXT = "#f2f2f2", "#6f8fb0", "#8c8c8c", "#101216", "#e8e8e8"
"""Of events by polarity, what stars are drawn in, the ground, and text."""


def rgb(colour: str) -> tuple[int, int, int]:
    """#rrggbb as numbers from 0 to 255."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue
