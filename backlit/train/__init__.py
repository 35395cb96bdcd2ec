"""Training: `fit`, and what it is made of. Public names only; read fit.py first."""

from backlit.train.callbacks import Callback as Callback
from backlit.train.checkpoint import Checkpoint as Checkpoint, Checkpoints as Checkpoints
from backlit.train.fit import fit as fit
from backlit.train.history import History as History
from backlit.train.loggers import (
    CSVLogger as CSVLogger,
    JSONLogger as JSONLogger,
    TensorBoardLogger as TensorBoardLogger,
)
from backlit.train.metrics import (
    Accuracy as Accuracy,
    ConfusionMatrix as ConfusionMatrix,
    Dice as Dice,
    Mean as Mean,
    Metric as Metric,
)
from backlit.train.plots import plot_curves as plot_curves, plot_mistakes as plot_mistakes
from backlit.train.pictures import (
    plot_masks as plot_masks,
    plot_reconstructions as plot_reconstructions,
)
from backlit.train.progress import Progress as Progress
from backlit.train import recipes as recipes
from backlit.train.run import Run as Run
from backlit.train.sequence_pictures import (
    plot_by_step as plot_by_step,
    plot_clips as plot_clips,
    plot_trajectories as plot_trajectories,
)
from backlit.train.stop import (
    EarlyStop as EarlyStop,
    GradientNorm as GradientNorm,
    LossPlateau as LossPlateau,
    StopRule as StopRule,
)
