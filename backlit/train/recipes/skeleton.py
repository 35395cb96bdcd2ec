"""Actions of people from clips of their skeletons: RNN, LSTM, GRU, attention or a 3-D CNN.

JHMDB (Jhuang et al. 2013), 15 joints over 15 to 40 frames. Sequence models read coordinates, steps
and the distances between joints, which no turn changes (Yang et al. 2019, DD-Net); the 3-D CNN
reads joints drawn as spots into small images (Duan et al. 2022, PoseC3D).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import backlit as bl
from backlit import nn
from backlit.data import JHMDB, RandomClips, SkeletonClips
from backlit.data.places import data_place
from backlit.data.skeleton import BONES, JOINTS
from backlit.nn import functional as F
from backlit.tensor import Tensor
from backlit.train.recipe import Job, Recipe, Settings, classification, parts
from backlit.train.recipes.pen_digits import network
from backlit.train.sequence_pictures import plot_clips

SOURCE = (
    "jhmdb_split1.npz of data/JHMDB/GT_train_1.pkl and GT_test_1.pkl of github.com/fandulu/DD-Net: "
    "{train,test}_pose (sum of frames, 15, 2) float32, _length int32, _label str"
)
FIRST, SECOND = np.tril_indices(len(JOINTS), -1)


@dataclass
class SkeletonSettings(Settings):
    """Adam with decoupled weight decay, the learning rate rising and falling once."""

    epochs: int = 60
    batch_size: int = 32
    lr: float = 0.003
    model: str = "gru"  # or rnn, lstm, attention, conv3d
    hidden: int = 96
    dropout: float = 0.5
    weight_decay: float = 0.01


class SequenceOfPoses(nn.Module):
    """Poses (N, T, joints, 2) and lengths (N,) to logits: two convolutions over time, then what
    reads sequences."""

    def __init__(self, kind: str, joints: int, hidden: int, classes: int, dropout: float) -> None:
        super().__init__()
        features = 4 * joints + joints * (joints - 1) // 2
        self.conv1 = nn.Conv1d(features, hidden, 3, padding=1)
        self.norm1 = nn.BatchNorm1d(hidden)
        self.conv2 = nn.Conv1d(hidden, hidden, 3, padding=1)
        self.norm2 = nn.BatchNorm1d(hidden)
        self.dropout = nn.Dropout(dropout)
        self.body = network(kind, hidden, hidden, classes)

    def forward(self, poses: Tensor, lengths: Tensor) -> Tensor:
        x = pose_features(poses, lengths).transpose(1, 2)
        x = self.dropout(F.relu(self.norm1(self.conv1(x))))
        x = self.dropout(F.relu(self.norm2(self.conv2(x))))
        return self.body(x.transpose(1, 2), lengths)  # type: ignore[no-any-return]


def pose_features(poses: Tensor, lengths: Tensor) -> Tensor:
    """Coordinates, five times the steps between frames, distances between joints: (N, T, ...)."""
    within = bl.arange(poses.shape[1]) < lengths.unsqueeze(1)
    places = poses.flatten(2)
    steps = F.pad(places[:, 1:] - places[:, :-1], (0, 0, 1, 0)) * within.unsqueeze(2)
    between = poses[:, :, FIRST.tolist()] - poses[:, :, SECOND.tolist()]
    distances = ((between * between).sum(3) + 1e-6).sqrt()
    return bl.cat([places, 5 * steps, distances], 2)


class ClipOfSpots(nn.Module):
    """Poses (N, T, joints, 2) and lengths (N,) to logits: 16 frames with a spot for each joint,
    a channel each, then three convolutions over time and space, and the mean over both."""

    def __init__(self, joints: int, width: int, classes: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inside = joints
        for outside, stride in ((width, (1, 2, 2)), (2 * width, 2), (4 * width, 2)):
            layers.append(nn.Conv3d(inside, outside, 3, stride, padding=1, bias=False))
            layers += [nn.BatchNorm3d(outside), nn.ReLU()]
            inside = outside
        layers += [nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Dropout(dropout)]
        self.body = nn.Sequential(*layers, nn.Linear(inside, classes))

    def forward(self, poses: Tensor, lengths: Tensor) -> Tensor:
        return self.body(spots(poses, lengths))  # type: ignore[no-any-return]


def spots(poses: Tensor, lengths: Tensor, frames: int = 16, side: int = 16) -> Tensor:
    """Images (N, joints, frames, side, side) from -1.2 to 1.2, a spot at each joint's place."""
    parts = bl.arange(frames) / (frames - 1)
    chosen = (parts * (lengths - 1).unsqueeze(1)).round().to(bl.int64)
    chosen = chosen.reshape(*chosen.shape, 1, 1).expand(-1, -1, *poses.shape[2:])
    places = poses.gather(1, chosen).transpose(1, 2).unsqueeze(-1)  # (N, joints, frames, 2, 1)
    grid = bl.linspace(-1.2, 1.2, side)
    size = 2.4 / side
    near = (-((grid - places) ** 2) / (2 * size * size)).exp()
    return near[..., 1, :].unsqueeze(-1) * near[..., 0, :].unsqueeze(-2)


def clips(settings: SkeletonSettings, train: bool) -> SkeletonClips:
    """One part of the clips; in a smoke test of people who are drawn from the seed."""
    if settings.smoke:
        return _swinging_arms(train)
    return JHMDB(data_place("jhmdb_skeleton", settings.data, source=SOURCE), train)


def prepare(settings: SkeletonSettings) -> Job:
    """Mirrored, turned, sized and shortened clips to learn from."""
    training, held_out = parts(settings, clips)
    views = RandomClips(training, least=0.6)
    batches: Any = bl.data.DataLoader(views, settings.batch_size, shuffle=True, drop_last=True)
    val_batches: Any = bl.data.DataLoader(held_out, len(held_out))
    joints, classes = held_out.poses.shape[2], len(held_out.classes)
    model: nn.Module
    if settings.model == "conv3d":
        model = ClipOfSpots(joints, settings.hidden // 6, classes, settings.dropout)
    else:
        model = SequenceOfPoses(settings.model, joints, settings.hidden, classes, settings.dropout)
    optimizer = bl.optim.AdamW(
        model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay
    )
    return classification(
        settings,
        model,
        optimizer,
        batches,
        val_batches,
        lambda path: plot_clips(model, val_batches, path, classes=held_out.classes, bones=BONES),
        clip_grad_norm=1.0,
    )


def _swinging_arms(train: bool) -> SkeletonClips:
    """Clips in which the wrists swing by little or much."""
    count, frames, joints = 64 if train else 32, 20, len(JOINTS)
    labels = bl.arange(count) % 2
    phase = bl.rand(count, 1, 1) + bl.arange(frames).reshape(1, -1, 1) / 3
    size = 0.1 + 0.4 * labels.reshape(-1, 1, 1)
    poses = 0.3 * bl.randn(count, 1, joints, 2).expand(-1, frames, -1, -1).clone()
    poses[:, :, 11:13, 1] += size * phase.sin()
    lengths = bl.randint(15, frames + 1, (count,))
    beyond = bl.arange(frames) >= lengths.unsqueeze(1)
    poses = poses.masked_fill(beyond.reshape(count, frames, 1, 1), 0.0)
    return SkeletonClips(poses, lengths, labels, ["swing little", "swing much"])


RECIPE = Recipe(
    name="skeleton",
    title="actions of people (--model gru, lstm, rnn, attention or conv3d)",
    data="JHMDB's skeletons (609 clips of 14 actions)",
    expects="77 % of the test clips with a GRU, 65 % with a 3-D CNN",
    minutes=0.5,
    settings=SkeletonSettings,
    prepare=prepare,
    says="{val_accuracy:.2%} of the {part} clips are right",
)
