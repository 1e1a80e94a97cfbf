"""Run any callable over an image too large for it, tile by tile.

The callable sees batches of tiles and nothing else; this package never sees a network. `plan_tiles`
decides where tiles lie, `run_tiled` cuts, predicts and stitches them with bounded memory.
"""

from ushape.tiling.plan import Piece, TilePlan, plan_tiles
from ushape.tiling.run import Predict, Progress, run_tiled
from ushape.tiling.stitch import Sink

__all__ = ["Piece", "Predict", "Progress", "Sink", "TilePlan", "plan_tiles", "run_tiled"]
