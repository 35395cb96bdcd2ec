"""Networks as PyTorch users write them, each once for both libraries.

`networks(library)` gives the classes made with `torch` or with `backlit`.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any


def networks(torch: Any) -> SimpleNamespace:
    """The networks, built on the library that is passed in."""
    return SimpleNamespace(**images(torch), **sequences(torch), **transformers(torch))


def images(torch: Any) -> dict[str, Any]:
    nn, F = torch.nn, torch.nn.functional

    class MLP(nn.Sequential):
        def __init__(self):
            super().__init__(
                nn.Linear(20, 32), nn.Tanh(), nn.Linear(32, 32), nn.GELU(), nn.Linear(32, 5)
            )

    class LeNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(1, 6, 5, padding=2), nn.Sigmoid(), nn.AvgPool2d(2),
                nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
            )  # fmt: skip
            self.classifier = nn.Sequential(
                nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.Tanh(),
                nn.Linear(84, 5),
            )  # fmt: skip

        def forward(self, x):
            return self.classifier(self.features(x))

    class Block(nn.Module):
        def __init__(self, inside, outside, stride=1):
            super().__init__()
            self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outside)
            self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outside)
            self.stride, self.extra = stride, outside - inside

        def forward(self, x):
            y = F.relu(self.bn1(self.conv1(x)))
            y = self.bn2(self.conv2(y))
            if self.extra:  # the shortcut without weights: drop pixels, add empty channels
                x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.extra))
            return F.relu(x + y)

    class ResNet20(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(
                nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
            )
            widths = [(16, 16, 1), (16, 32, 2), (32, 64, 2)]
            self.stages = nn.ModuleList(
                nn.Sequential(Block(i, o, s), Block(o, o), Block(o, o)) for i, o, s in widths
            )
            self.pool = nn.AdaptiveAvgPool2d(1)
            self.fc = nn.Linear(64, 5)

        def forward(self, x):
            x = self.stem(x)
            for stage in self.stages:
                x = stage(x)
            return self.fc(torch.flatten(self.pool(x), 1))

    class DenseBlock(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList()
            for width in (6, 10, 14):
                self.layers.append(
                    nn.Sequential(
                        nn.BatchNorm2d(width),
                        nn.ReLU(inplace=True),
                        nn.Conv2d(width, 16, 1),
                        nn.BatchNorm2d(16),
                        nn.ReLU(inplace=True),
                        nn.Conv2d(16, 4, 3, padding=1),
                    )
                )
            self.fc = nn.Linear(18, 5)

        def forward(self, x):
            x = torch.cat((x, -x), dim=1)
            for layer in self.layers:
                x = torch.cat([x, layer(x.clone())], dim=1)
            return self.fc(x.mean(dim=(2, 3)))

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.down1, self.down2 = self.double(1, 4), self.double(4, 8)
            self.middle = self.double(8, 16)
            self.up2 = nn.ConvTranspose2d(16, 8, 2, stride=2)
            self.up1 = nn.Sequential(
                nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
                nn.Conv2d(8, 4, 1),
            )
            self.left2, self.left1 = self.double(16, 8), self.double(8, 4)
            self.out = nn.Conv2d(4, 3, 1)

        @staticmethod
        def double(inside, outside):
            layers = []
            for width in (inside, outside):
                layers += [nn.Conv2d(width, outside, 3, padding=1, bias=False)]
                layers += [nn.BatchNorm2d(outside), nn.LeakyReLU(0.1)]
            return nn.Sequential(*layers)

        def forward(self, x):
            a = self.down1(x)
            b = self.down2(F.max_pool2d(a, 2))
            c = self.up2(self.middle(F.max_pool2d(b, 2)))
            d = self.up1(self.left2(torch.cat([c, b], 1)))
            return self.out(self.left1(torch.cat([d, a], 1)))

    return {
        "MLP": MLP, "LeNet": LeNet, "ResNet20": ResNet20, "DenseBlock": DenseBlock, "UNet": UNet,
    }  # fmt: skip


def sequences(torch: Any) -> dict[str, Any]:
    nn = torch.nn

    class Tagger(nn.Module):
        """Two layers, both directions: one class per character."""

        def __init__(self, kind):
            super().__init__()
            self.embedding = nn.Embedding(11, 6, padding_idx=0)
            self.recurrent = getattr(nn, kind)(6, 12, 2, batch_first=True, bidirectional=True)
            self.fc = nn.Linear(24, 11)

        def forward(self, x):
            states, _ = self.recurrent(self.embedding(x))
            return self.fc(states).transpose(1, 2)

    return {"LSTM": lambda: Tagger("LSTM"), "GRU": lambda: Tagger("GRU")}


def transformers(torch: Any) -> dict[str, Any]:
    nn, F = torch.nn, torch.nn.functional

    class Encoder(nn.Module):
        """Two of the library's own encoder layers under a causal mask."""

        def __init__(self, norm_first=False):
            super().__init__()
            self.embedding = nn.Embedding(11, 16)
            self.position = nn.Parameter(torch.zeros(9, 16))
            layer = nn.TransformerEncoderLayer(
                16, 4, 32, dropout=0.0, batch_first=True, norm_first=norm_first, activation="gelu"
            )
            self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
            self.fc = nn.Linear(16, 11)

        def forward(self, x):
            mask = torch.triu(torch.full((9, 9), float("-inf")), diagonal=1)
            y = self.embedding(x) + self.position
            return self.fc(self.encoder(y, mask=mask.to(y.dtype))).transpose(1, 2)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln1, self.ln2 = nn.LayerNorm(16), nn.LayerNorm(16)
            self.attention = nn.MultiheadAttention(16, 4, batch_first=True)
            self.mlp = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))

        def forward(self, x):
            y = self.ln1(x)
            x = x + self.attention(y, y, y, need_weights=False)[0]
            return x + self.mlp(self.ln2(x))

    class ViT(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, 16, 4, stride=4)
            self.token = nn.Parameter(torch.zeros(1, 1, 16))
            self.blocks = nn.Sequential(Block(), Block())
            self.norm, self.head = nn.LayerNorm(16), nn.Linear(16, 5)

        def forward(self, x):
            x = self.patches(x).flatten(2).transpose(1, 2)
            x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1)
            return self.head(F.normalize(self.norm(self.blocks(x))[:, 0], dim=-1) * 4)

    return {"Encoder": Encoder, "PreNormEncoder": lambda: Encoder(True), "ViT": ViT}
