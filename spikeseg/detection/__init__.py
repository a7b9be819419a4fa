"""From saliency to objects, tracks and the score of every event."""
