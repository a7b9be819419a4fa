"""spikeseg: event-camera recordings segmented into tracked objects by a spiking network that learns without labels.

Importing this package imports none of its parts; take what you need, for example
``from spikeseg.models import SpikeSEG`` or ``from spikeseg.config import load_config``.
"""

__version__ = "0.1.0"
