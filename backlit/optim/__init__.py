"""Optimizers, learning-rate schedules and averages of weights, under PyTorch's names."""

from backlit.optim import lr_scheduler as lr_scheduler
from backlit.optim import swa_utils as swa_utils
from backlit.optim.adadelta import Adadelta as Adadelta
from backlit.optim.adagrad import Adagrad as Adagrad
from backlit.optim.adam import Adam as Adam
from backlit.optim.adam import AdamW as AdamW
from backlit.optim.adamax import Adamax as Adamax
from backlit.optim.asgd import ASGD as ASGD
from backlit.optim.lbfgs import LBFGS as LBFGS
from backlit.optim.nadam import NAdam as NAdam
from backlit.optim.optimizer import Optimizer as Optimizer
from backlit.optim.radam import RAdam as RAdam
from backlit.optim.rmsprop import RMSprop as RMSprop
from backlit.optim.rprop import Rprop as Rprop
from backlit.optim.sgd import SGD as SGD
from backlit.optim.swa_utils import EMA as EMA


def __getattr__(name: str) -> object:
    from backlit.absent import refuse

    raise refuse("backlit.optim", name)
