"""Figures, with matplotlib (the extra 'plots')."""

from spikeseg.errors import InputError


def require_matplotlib() -> None:
    """Raises InputError where matplotlib is not installed."""
    try:
        import matplotlib.backends.backend_agg
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise InputError("pictures need matplotlib; install it with: pip install 'spikeseg[plots]'") from None
    except OSError as error:
        raise InputError(f"matplotlib: {error}; set MPLCONFIGDIR to a folder that it can write to") from None
