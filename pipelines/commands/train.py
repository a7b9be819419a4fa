"""The command `train`."""

from __future__ import annotations

import click

from .common import NAME, after_training, print_end, print_layers, resumed, trained_layers, training
from .options import Request, command, shared
from .settings import Words, setting


@command("train")
@click.option("--resume", "-r", type=Words(), metavar="PATH", help="Go on from this run or checkpoint, as if never stopped.")
@NAME
@setting(
    "--train-recordings",
    key="data.train_recordings",
    type=Words(),
    metavar="FILE",
    help="List of the recordings to train on, a name or path a line; the shares of the configuration do not count then.",
)
@setting(
    "--val-recordings",
    key="data.val_recordings",
    type=Words(),
    metavar="FILE",
    help="Likewise of those that validate. What neither lists is for tests.",
)
@training
@shared(output="Folder of the runs.", key="output_dir", data=True)
def train(request: Request, resume: str | None, name: str, no_tensorboard: bool) -> None:
    """Train every layer in turn, preparing the frames first if need be.

    \b
    Example: the settings of a paper on EBSSA, stopped by Ctrl-C and continued
      spikeseg train -c config --paper igarss2023 --data-root ~/EBSSA --name ebssa
      spikeseg train --resume runs/ebssa
    Example: recordings dealt out by hand
      spikeseg train -c ebssa --data-root ~/EBSSA --train-recordings train.txt --val-recordings val.txt
    """
    from ..stages import train as stage

    cfg, resume = resumed(request, resume)
    tensorboard = False if no_tensorboard else None
    result = stage.train(cfg, name=name, force=request.force, resume=resume, tensorboard=tensorboard)
    print_layers(result.path, trained_layers(cfg))
    print_end(result.ran, f"a trained network in {result.path}", after_training(cfg, request))
