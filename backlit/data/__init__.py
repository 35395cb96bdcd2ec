"""The data room: datasets, samplers, loaders, readers of data files, transforms.

Public names only. Heavy modules (Pillow, archives, processes) are imported when first used.
"""

from backlit.data.adding import AddingProblem
from backlit.data.cifar import CIFAR10, CIFAR100
from backlit.data.collate import default_collate, default_convert
from backlit.data.dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from backlit.data.folder import ImageFolder
from backlit.data.idx import read_idx, write_idx
from backlit.data.labelled import LabelledImages, RandomViews
from backlit.data.loader import DataLoader
from backlit.data.masks import MaskedImages, MaskedViews
from backlit.data.mnist import MNIST, FashionMNIST
from backlit.data.nuclei import Nuclei
from backlit.data.sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from backlit.data.shipped import digits
from backlit.data.signs import sign_digits
from backlit.data.skeleton import JHMDB, RandomClips, SkeletonClips
from backlit.data.text import Characters, TextWindows, tiny_shakespeare
from backlit.data.trajectories import (
    HandMovements,
    PenDigits,
    RandomTrajectories,
    Trajectories,
)
from backlit.data.validation import validation_split
from backlit.data import transforms
from backlit.data.worker_info import WorkerInfo, get_worker_info
