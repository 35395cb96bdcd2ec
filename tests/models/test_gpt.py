"""The small GPT: no look ahead, shared table, writing by sampling."""

from __future__ import annotations

import math

import numpy as np
import pytest

import backlit as bl
from backlit import models
from backlit.models.gpt import from_gpt2
from backlit.nn import functional as F


def small(**options):
    bl.manual_seed(0)
    return models.GPT(7, context=8, width=16, depth=2, heads=4, **options)


def test_a_token_changes_nothing_before_it():
    net = small().double()
    tokens = bl.randint(0, 7, (2, 8))
    before = net(tokens).detach().numpy()
    tokens[:, 5] = (tokens[:, 5] + 1) % 7
    after = net(tokens).detach().numpy()
    np.testing.assert_allclose(after[:, :5], before[:, :5], 0, 1e-14)
    assert (np.abs(after[:, 5:] - before[:, 5:]).max((0, 2)) > 1e-6).all()


def test_positions_count():
    net = small()
    assert not bl.allclose(net(bl.tensor([[1, 2, 3]]))[:, -1], net(bl.tensor([[2, 1, 3]]))[:, -1])


@pytest.mark.parametrize("tied", [True, False])
def test_the_table_is_shared(tied):
    net = small(tied=tied)
    net.load_state_dict(net.double().state_dict())
    assert (net.lm_head.weight is net.transformer["wte"].weight) is tied
    assert len(net.state_dict()) - len(list(net.parameters())) == (1 if tied else 0)


def test_biases_can_be_left_out():
    assert not [name for name, _ in small(bias=False).named_parameters() if "bias" in name]


def test_residual_projections_start_smaller():
    bl.manual_seed(0)
    net = models.GPT(64, context=8, width=64, depth=8, heads=2)
    inner = net.transformer["h"][3]
    assert inner.attn.c_attn.weight.std().item() == pytest.approx(0.02, rel=0.05)
    for projection in (inner.attn.c_proj, inner.mlp.c_proj):
        assert projection.weight.std().item() == pytest.approx(0.02 / 4, rel=0.05)
    loss = F.cross_entropy(net(bl.randint(0, 64, (4, 8))).flatten(0, 1), bl.randint(0, 64, (32,)))
    assert loss.item() == pytest.approx(math.log(64), rel=0.02)


def test_too_many_tokens_are_refused():
    with pytest.raises(ValueError, match="9 tokens do not fit a context of 8"):
        small()(bl.zeros(1, 9, dtype=bl.int64))


def test_temperature_zero_takes_the_likeliest():
    net, tokens = small().eval(), bl.tensor([[0, 1, 2], [3, 4, 5]])
    expected = tokens
    for _ in range(10):
        last = net(expected[:, -8:])[:, -1].argmax(-1, keepdim=True)
        expected = bl.cat([expected, last], 1)
    assert bl.equal(net.generate(tokens, 10, temperature=0), expected)
    assert bl.equal(net.generate(tokens, 10, top_k=1), expected)
    cold = net.generate(tokens, 10, temperature=1e-6)
    assert bl.equal(cold, expected)


def test_samples_follow_the_chances():
    net = small()
    start = bl.zeros(6000, 1, dtype=bl.int64)
    net.lm_head.weight.data.mul_(10)  # chances that differ
    chances = F.softmax(net(start[:1])[0, -1] / 0.7, -1)
    found = bl.bincount(net.generate(start, 1, temperature=0.7)[:, 1], minlength=7) / 6000
    error = (chances * (1 - chances) / 6000).sqrt()
    assert bool(((found - chances).abs() < 5 * error + 1e-4).all())
    best = set(chances.topk(3).indices.tolist())
    assert set(net.generate(start, 1, top_k=3)[:, 1].tolist()) == best


def test_generate_leaves_the_mode_and_keeps_no_graph():
    net = small(dropout=0.5)
    tokens = bl.tensor([[1, 2]])
    assert bl.equal(net.generate(tokens, 5, 0), net.generate(tokens, 5, 0))  # dropout is off
    assert net.training
    with pytest.raises(IndexError):
        net.generate(bl.tensor([[70]]), 2)
    assert net.training


@pytest.mark.parametrize("options", [{"temperature": -1.0}, {"top_k": 0}])
def test_impossible_draws_are_refused(options):
    with pytest.raises(ValueError, match="temperature must be at least 0"):
        small().generate(bl.tensor([[1]]), 2, **options)


@pytest.mark.parametrize("prefix", ["", "transformer."])
def test_published_states_load(prefix):
    net, tokens = small(), bl.randint(0, 7, (2, 8))
    published = {}
    for name, value in net.state_dict().items():
        if name == "lm_head.weight":
            continue
        inside = name.removeprefix("transformer.")
        linear = any(part in name for part in ("c_attn.w", "c_proj.w", "c_fc.w"))
        published[prefix + inside] = value.t() if linear else value
        if inside.endswith("attn.c_attn.weight"):  # the causal mask, which we compute
            mask = inside.replace("c_attn.weight", "bias")
            published[prefix + mask] = bl.ones(1, 1, 8, 8).tril()
    bl.manual_seed(1)
    other = models.GPT(7, context=8, width=16, depth=2, heads=4)
    assert not bl.allclose(other(tokens), net(tokens))
    other.load_state_dict(from_gpt2(published))
    assert bl.equal(other(tokens), net(tokens))


def test_it_learns_to_go_on():
    net = small()
    text = bl.tensor([[0, 1, 2, 3, 4, 5, 6, 0], [2, 3, 4, 5, 6, 0, 1, 2]])
    rule = bl.optim.AdamW(net.parameters(), lr=0.01)
    for _ in range(60):
        loss = F.cross_entropy(net(text[:, :-1]).flatten(0, 1), text[:, 1:].flatten())
        rule.zero_grad()
        loss.backward()
        rule.step()
    written = net.generate(bl.tensor([[0]]), 7, temperature=0)[0].tolist()
    assert written == [0, 1, 2, 3, 4, 5, 6, 0]
