"""What is chosen by name, and where it is defined; other packages add to it by entry points of the groups named here."""

from .registry import Registry

DATASETS = Registry(
    "dataset",
    "spikeseg.datasets",
    {
        "digits": "spikeseg.data.datasets.digits:DATASET",
        "ebssa": "spikeseg.data.datasets.ebssa:DATASET",
        "files": "spikeseg.data.datasets.files:DATASET",
        "images": "spikeseg.data.datasets.image_folders:DATASET",
        "mnist": "spikeseg.data.datasets.mnist:DATASET",
        "nmnist": "spikeseg.data.datasets.nmnist:DATASET",
        "orbitsight": "spikeseg.data.datasets.orbitsight:DATASET",
        "synthetic": "spikeseg.data.datasets.ebssa:SYNTHETIC",
    },
    families={"tonic": "spikeseg.data.datasets.tonic_sets:DATASETS"},
)
"""Name -> `spikeseg.data.datasets.Dataset`."""

READERS = Registry(
    "format",
    "spikeseg.readers",
    {
        "mat5": "spikeseg.data.readers.ebssa_mat:MAT5",
        "hdf5": "spikeseg.data.readers.ebssa_mat:HDF5",
        "hdf5_events": "spikeseg.data.readers.hdf5_events:READER",
        "aedat2": "spikeseg.data.readers.aedat2:READER",
        "aedat3": "spikeseg.data.readers.aedat3:READER",
        "aedat4": "spikeseg.data.readers.aedat4:READER",
        "dat": "spikeseg.data.readers.prophesee:DAT",
        "evt2": "spikeseg.data.readers.prophesee:EVT2",
        "evt21": "spikeseg.data.readers.prophesee:EVT21",
        "evt3": "spikeseg.data.readers.prophesee:EVT3",
        "es": "spikeseg.data.readers.event_stream:READER",
        "rosbag": "spikeseg.data.readers.rosbag:READER",
        "rosbag2": "spikeseg.data.readers.rosbag2:READER",
        "mcap": "spikeseg.data.readers.mcap:READER",
        "nmnist": "spikeseg.data.readers.nmnist:READER",
        "npz": "spikeseg.data.readers.numpy_files:NPZ",
        "npy": "spikeseg.data.readers.numpy_files:NPY",
        "text": "spikeseg.data.readers.text:READER",
    },
)
"""Format -> `spikeseg.data.readers.Reader`."""

MODES = Registry(
    "mode",
    "spikeseg.metrics",
    {
        "event": "spikeseg.metrics.event:MODE",
        "pixel": "spikeseg.metrics.pixel:MODE",
        "object": "spikeseg.metrics.objects:MODE",
        "volume": "spikeseg.metrics.volume:MODE",
        "track": "spikeseg.metrics.track_mode:MODE",
    },
)
"""Metric modes (`spikeseg.metrics.mode.Mode`), in the order of metrics.json."""

RULES = Registry(
    "learning rule",
    "spikeseg.rules",
    {
        "multiplicative": "spikeseg.learning.rules:MULTIPLICATIVE",
        "additive": "spikeseg.learning.rules:ADDITIVE",
    },
)
"""Learning rules (`spikeseg.learning.rules.LearningRule`), the values of `stdp.rule`."""
