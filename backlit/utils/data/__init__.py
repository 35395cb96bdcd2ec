"""PyTorch's name for the data room: everything here lives in backlit.data.

Its files have their addresses as well: `torch.utils.data.dataset` and the like.
"""

import sys as _sys

from backlit.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_convert,
    get_worker_info,
    random_split,
)
from backlit.data import dataset, loader as dataloader, sampler

for _name, _file in (("dataset", dataset), ("dataloader", dataloader), ("sampler", sampler)):
    _sys.modules[f"{__name__}.{_name}"] = _file
