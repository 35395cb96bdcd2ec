"""Programs ask `torch.distributed` whether several processes train; the answer is no.

One process trains. What needs other processes can be imported, and is refused when it is used.
"""

from __future__ import annotations

from typing import Any

from backlit.absent import importable, refuse


def is_available() -> bool:
    """False: one process trains.

    >>> bl.distributed.is_available()
    False
    """
    return False


def is_initialized() -> bool:
    """False.

    >>> bl.distributed.is_initialized()
    False
    """
    return False


is_torchelastic_launched = is_nccl_available = is_gloo_available = is_mpi_available = is_available


globals().update(
    importable(
        "distributed",
        "init_process_group destroy_process_group get_rank get_world_size get_local_rank barrier "
        "new_group all_reduce all_gather all_gather_object all_gather_into_tensor broadcast "
        "broadcast_object_list reduce reduce_scatter scatter gather send recv ReduceOp",
    )
)


def __getattr__(name: str) -> Any:
    raise refuse("distributed", name)
