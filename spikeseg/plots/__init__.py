"""Figures, with matplotlib (the extra 'plots')."""

from __future__ import annotations

import functools
import io
import warnings
from typing import TYPE_CHECKING, Any

from spikeseg.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("png", "pdf", "svg")
"""Of files of pictures."""

_DATES: dict[str, dict[str, Any]] = {"png": {"Software": None}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}
"""What matplotlib writes into files that does not come from the figure, by format, left out."""


def require_matplotlib() -> None:
    """Raises InputError where matplotlib is not installed."""
    try:
        import matplotlib.backends.backend_agg
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise InputError("pictures need matplotlib; install it with: pip install 'spikeseg[plots]'") from None
    except OSError as error:
        raise InputError(f"matplotlib: {error}; set MPLCONFIGDIR to a folder that it can write to") from None


@functools.cache
def _figure_class() -> type[Figure]:
    """Of figures that a notebook shows, which of matplotlib's it does only once pyplot was imported."""
    from matplotlib.figure import Figure

    class ShownFigure(Figure):
        def _repr_png_(self) -> bytes:
            return rendered(self, dpi=72)

    return ShownFigure


def new_figure(width: float, height: float, *, laid_out: bool = True) -> Figure:
    """An empty figure that no window shows.

    Args:
        width: inches.
        height: inches.
        laid_out: whether its panels are laid out without overlap when it is drawn; else they have the places that they are given.

    Raises:
        InputError: matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = _figure_class()(figsize=(width, height), layout="constrained")
    if not laid_out:
        figure.set_layout_engine("none")
    FigureCanvasAgg(figure)
    return figure


def rendered(figure: Figure, form: str = "png", dpi: float = 110) -> bytes:
    """A figure as a file: equal figures give equal bytes, without dates or random names.

    Args:
        figure: any.
        form: one of FORMATS.
        dpi: dots per inch, of pixels of a png and of pictures inside the others.
    """
    import matplotlib

    file = io.BytesIO()
    with warnings.catch_warnings(), matplotlib.rc_context({"svg.hashsalt": "spikeseg"}):
        warnings.filterwarnings("ignore", "Glyph")  # of a name, that the font lacks: a box stands for it
        figure.savefig(file, format=form, dpi=dpi, metadata=_DATES[form])
    return file.getvalue()


def short(name: str, longest: int) -> str:
    """A name of at most so many characters: of a longer one the middle is left out."""
    half = (longest - 3) // 2
    return name if len(name) <= longest else f"{name[:half]}...{name[-half:]}"
