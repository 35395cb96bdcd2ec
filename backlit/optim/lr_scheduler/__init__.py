"""Learning-rate schedules under PyTorch's names. Read base.py first, then decay.py."""

from backlit.optim.lr_scheduler.annealing import CosineAnnealingLR as CosineAnnealingLR
from backlit.optim.lr_scheduler.annealing import (
    CosineAnnealingWarmRestarts as CosineAnnealingWarmRestarts,
)
from backlit.optim.lr_scheduler.base import LRScheduler as LRScheduler
from backlit.optim.lr_scheduler.compose import ChainedScheduler as ChainedScheduler
from backlit.optim.lr_scheduler.compose import SequentialLR as SequentialLR
from backlit.optim.lr_scheduler.cyclic import CyclicLR as CyclicLR
from backlit.optim.lr_scheduler.cyclic import OneCycleLR as OneCycleLR
from backlit.optim.lr_scheduler.decay import ConstantLR as ConstantLR
from backlit.optim.lr_scheduler.decay import ExponentialLR as ExponentialLR
from backlit.optim.lr_scheduler.decay import LambdaLR as LambdaLR
from backlit.optim.lr_scheduler.decay import LinearLR as LinearLR
from backlit.optim.lr_scheduler.decay import MultiplicativeLR as MultiplicativeLR
from backlit.optim.lr_scheduler.decay import MultiStepLR as MultiStepLR
from backlit.optim.lr_scheduler.decay import PolynomialLR as PolynomialLR
from backlit.optim.lr_scheduler.decay import StepLR as StepLR
from backlit.optim.lr_scheduler.plateau import ReduceLROnPlateau as ReduceLROnPlateau

_LRScheduler = LRScheduler
