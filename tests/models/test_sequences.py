"""Sequence classifiers: padding has no influence, cells are the same networks, order counts."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

import backlit as bl
from backlit import models

LENGTHS = [4, 6, 1, 3]

READERS = {
    "rnn": lambda: models.SequenceClassifier("rnn", 3, 5, 2, 4),
    "lstm": lambda: models.SequenceClassifier("lstm", 3, 5, 2, 4),
    "gru": lambda: models.SequenceClassifier("gru", 3, 5, 2, 4),
    "rnn both ways": lambda: models.SequenceClassifier("rnn", 3, 5, 2, 4, bidirectional=True),
    "lstm both ways": lambda: models.SequenceClassifier("lstm", 3, 5, 2, 4, bidirectional=True),
    "gru both ways": lambda: models.SequenceClassifier("gru", 3, 5, 1, 4, bidirectional=True),
    "attention": lambda: models.AttentionClassifier(3, 8, 2, 2, 4),
}


def batch():
    bl.manual_seed(1)
    return bl.randn(4, 6, 3, dtype=bl.float64), bl.tensor(LENGTHS)


@pytest.mark.parametrize("name", READERS)
def test_each_sequence_is_judged_as_if_alone(name):
    x, lengths = batch()
    net = READERS[name]().double()
    found = net(x, lengths).detach().numpy()
    for row, length in enumerate(LENGTHS):
        alone = net(x[row : row + 1, :length]).detach().numpy()
        np.testing.assert_allclose(found[row : row + 1], alone, 0, 1e-13)


@pytest.mark.parametrize("name", READERS)
def test_no_gradient_reaches_the_padding(name):
    x, lengths = batch()
    net, x = READERS[name]().double(), x.requires_grad_()
    net(x, lengths).square().sum().backward()
    beyond = np.arange(6) >= np.array(LENGTHS)[:, None]
    size = np.abs(x.grad.numpy()).sum(-1)
    assert (size[beyond] == 0).all()
    assert (size[~beyond] > 0).all()


@pytest.mark.parametrize("name", READERS)
def test_full_lengths_are_no_lengths(name):
    x, _ = batch()
    net = READERS[name]().double()
    full = net(x, bl.full((4,), 6)).detach().numpy()
    np.testing.assert_allclose(full, net(x).detach().numpy(), 0, 1e-13)


@pytest.mark.parametrize("name", READERS)
def test_lengths_may_be_a_list(name):
    x, lengths = batch()
    net = READERS[name]().double()
    assert bl.equal(net(x, LENGTHS), net(x, lengths))


@pytest.mark.parametrize("name", ["lstm", "attention"])
def test_a_compiled_net_takes_other_lengths(name):
    x, lengths = batch()
    net = READERS[name]().double()
    run = bl.compile(lambda x, lengths: net(x, lengths))
    for sizes in (lengths, lengths.flip(0)):
        found = run(x, sizes).detach().numpy()
        np.testing.assert_allclose(found, net(x, sizes).detach().numpy(), 0, 1e-13)
    assert (len(run.entries), run.reason) == (1, None)


@pytest.mark.parametrize("kind", ["rnn", "lstm", "gru"])
def test_cells_are_the_same_network(kind):
    x, _ = batch()
    cells = models.CellClassifier(kind, 3, 5, 4).double()
    whole = models.RowClassifier(kind, 3, 5, 1, 4).double()
    state = cells.state_dict()
    names = {f"rnn.{k[5:]}_l0" if k.startswith("cell.") else k: v for k, v in state.items()}
    whole.load_state_dict(names)
    np.testing.assert_allclose(cells(x).detach().numpy(), whole(x).detach().numpy(), 0, 1e-14)
    output, _ = whole.rnn(x)
    states = bl.stack(cells.states(x), 1)
    np.testing.assert_allclose(states.detach().numpy(), output.detach().numpy(), 0, 1e-14)


def test_gradients_of_the_states_are_those_of_time():
    x, _ = batch()
    net = models.CellClassifier("rnn", 3, 5, 4).double()
    states = net.states(x)
    for state in states:
        state.retain_grad()
    net.fc(states[-1]).sum().backward()
    weight = net.cell.weight_hh.detach().numpy()
    for earlier, later in pairwise(states):
        slope = 1 - later.detach().numpy() ** 2  # of tanh
        np.testing.assert_allclose(
            earlier.grad.numpy(), (later.grad.numpy() * slope) @ weight, 0, 1e-14
        )


def test_attention_without_positions_ignores_order():
    x, _ = batch()
    order = bl.tensor([3, 1, 5, 0, 4, 2])
    for positions in (False, True):
        net = models.AttentionClassifier(3, 8, 2, 2, 4, positions=positions).double()
        same = np.allclose(net(x).detach().numpy(), net(x[:, order]).detach().numpy(), 0, 1e-13)
        assert same is not positions


def test_position_codes():
    codes = models.attention.sinusoids(5, 6).numpy()
    places, rates = np.arange(5)[:, None], 10000.0 ** (-np.arange(3) / 3)
    expected = np.concatenate([np.sin(places * rates), np.cos(places * rates)], 1)
    np.testing.assert_allclose(codes, expected, 0, 1e-6)


@pytest.mark.parametrize("lengths", [[4, 7, 1, 3], [4, 0, 1, 3]])
@pytest.mark.parametrize("name", ["gru", "gru both ways"])
def test_impossible_lengths_are_refused(name, lengths):
    x, _ = batch()
    with pytest.raises((ValueError, IndexError, RuntimeError)):
        READERS[name]().double()(x, bl.tensor(lengths))


@pytest.mark.parametrize("name", ["gru", "gru both ways", "attention"])
def test_every_sequence_has_a_length(name):
    x, lengths = batch()
    with pytest.raises(RuntimeError, match="4 sequences need as many lengths"):
        READERS[name]().double()(x, lengths[:1])


@pytest.mark.parametrize("name", READERS)
def test_what_the_padding_holds_does_not_matter(name):
    x, lengths = batch()
    net, other = READERS[name]().double(), x.clone()
    for row, length in enumerate(LENGTHS):
        other[row, length:] = 1e3
    np.testing.assert_array_equal(
        net(x, lengths).detach().numpy(), net(other, lengths).detach().numpy()
    )
