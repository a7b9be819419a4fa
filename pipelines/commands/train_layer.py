"""The command `train-layer`."""

from __future__ import annotations

import click

from spikeseg.errors import InputError, nearest

from .common import NAME, after_training, print_end, print_layers, resumed, training
from .options import Request, command, shared
from .settings import Words


@command("train-layer")
@click.argument("layer", metavar="LAYER")
@click.option("--resume", "-r", type=Words(), metavar="PATH", help="Go on from this checkpoint, as if never stopped.")
@NAME
@training
@shared(output="Folder of the runs.", key="output_dir", data=True)
def train_layer(request: Request, layer: str, resume: str | None, name: str, no_tensorboard: bool) -> None:
    """Train one layer, conv2 or conv3, on the prepared frames and the layers below it; or, after them, motion.

    \b
    motion learns the footprint of objects from the training recordings
    (only with model.motion: true).

    \b
    Example: the second layer with another learning rate
      spikeseg train-layer conv2 --set stdp.lr_plus=0.004
    """
    from spikeseg.learning.run_files import MOTION_LAYER

    from ..stages import train_layer as stage
    from ..stages import train_motion

    cfg, resume = resumed(request, resume)
    layers = [*(spec.name for spec in cfg.layers()), MOTION_LAYER]
    if layer not in layers:
        raise InputError(f"LAYER: found {layer!r}, must be one of {', '.join(layers)}{nearest(layer, layers)}")
    if layer == MOTION_LAYER:
        result = train_motion.train_motion(cfg, name=name, force=request.force, resume=resume)
        later = []
    else:
        tensorboard = False if no_tensorboard else None
        result = stage.train_layer(cfg, layer, name=name, force=request.force, resume=resume, tensorboard=tensorboard)
        later = [spec.name for spec in cfg.layers() if spec.learned and spec.index > cfg.model.layer(layer).index]
        later += [MOTION_LAYER] if cfg.model.motion else []
    print_layers(result.path, [layer])
    named = f" --name {name}" if name != "auto" else ""
    following = request.next(f"train-layer {later[0]}{named}") if later else after_training(cfg, request)
    print_end(result.ran, f"{layer} in {result.path}", following)
