"""PyTorch's wrappers for several devices, where there is one."""

from __future__ import annotations

import pytest

import backlit as bl
from backlit import nn


def test_data_parallel_calls_its_module_and_keeps_its_names():
    net = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
    parallel = nn.DataParallel(net, device_ids=[0, 1])
    x = bl.randn(4, 3)
    assert parallel.eval()(x).tolist() == net(x).tolist()
    assert not net.training and parallel.module is net and parallel.device_ids == []
    assert list(parallel.state_dict()) == ["module.0.weight", "module.0.bias"]
    net.load_state_dict({k.removeprefix("module."): v for k, v in parallel.state_dict().items()})
    parallel(x).sum().backward()
    assert net[0].bias.grad.tolist() == [4.0, 4.0]


def test_data_parallel_takes_several_inputs_and_names():
    bilinear = nn.Bilinear(2, 3, 1)
    pair = bl.ones(5, 2), bl.ones(5, 3)
    assert nn.parallel.data_parallel(bilinear, pair, range(2)).shape == (5, 1)
    assert nn.DataParallel(bilinear)(pair[0], input2=pair[1]).shape == (5, 1)


def test_several_processes_are_refused_by_name():
    with pytest.raises(NotImplementedError, match="DistributedDataParallel does not exist"):
        nn.parallel.DistributedDataParallel(nn.Linear(1, 1), device_ids=[0])
