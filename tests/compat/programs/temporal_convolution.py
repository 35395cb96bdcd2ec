"""A temporal convolutional network with weight normalization, after Bai et al. 2018."""
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
import warnings
from torch.nn.utils import remove_weight_norm, weight_norm

warnings.simplefilter("ignore")


class Chomp1d(nn.Module):
    def __init__(self, chomp_size):
        super(Chomp1d, self).__init__()
        self.chomp_size = chomp_size

    def forward(self, x):
        return x[:, :, :-self.chomp_size].contiguous()


class TemporalBlock(nn.Module):
    def __init__(self, n_inputs, n_outputs, kernel_size, dilation, dropout=0.0):
        super(TemporalBlock, self).__init__()
        padding = (kernel_size - 1) * dilation
        self.conv1 = weight_norm(nn.Conv1d(n_inputs, n_outputs, kernel_size, stride=1,
                                           padding=padding, dilation=dilation))
        self.net = nn.Sequential(self.conv1, Chomp1d(padding), nn.ReLU(), nn.Dropout(dropout))
        self.downsample = nn.Conv1d(n_inputs, n_outputs, 1) if n_inputs != n_outputs else None
        self.relu = nn.ReLU()

    def forward(self, x):
        out = self.net(x)
        res = x if self.downsample is None else self.downsample(x)
        return self.relu(out + res)


class TCN(nn.Module):
    def __init__(self, input_size, output_size, num_channels, kernel_size=3):
        super(TCN, self).__init__()
        layers = []
        for i, out_channels in enumerate(num_channels):
            in_channels = input_size if i == 0 else num_channels[i - 1]
            layers += [TemporalBlock(in_channels, out_channels, kernel_size, dilation=2 ** i)]
        self.tcn = nn.Sequential(*layers)
        self.linear = nn.Linear(num_channels[-1], output_size)

    def forward(self, x):
        return self.linear(self.tcn(x)[:, :, -1])


def adding(count, length):
    values = torch.sin(torch.arange(count * length).float() ** 2 * 0.11).view(count, length).abs()
    marks = torch.zeros(count, length)
    for i in range(count):
        marks[i, i % (length // 2)] = marks[i, length // 2 + (3 * i) % (length // 2)] = 1.0
    return torch.stack([values, marks], 1), (values * marks).sum(1, keepdim=True)


model = TCN(2, 1, [8, 8, 8])
for name, p in model.named_parameters():
    if p.dim() > 1 and not name.endswith("_g"):
        p.data.copy_(torch.sin(torch.arange(p.numel()) ** 2 * 0.37).view_as(p) * 0.4)
    else:
        p.data.fill_(0.5 if name.endswith("_g") else 0.0)
print([name for name in model.state_dict() if "conv1" in name][:3])
x, y = adding(32, 16)
optimizer = getattr(optim, "Adam")(model.parameters(), lr=0.01)
losses = []
for step in range(24):
    model.train()
    optimizer.zero_grad()
    loss = F.mse_loss(model(x), y)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    losses.append(loss.item())
model.eval()
before = model(x)
for block in model.tcn:
    remove_weight_norm(block.conv1)
print(torch.allclose(before, model(x), atol=1e-5), sorted(n for n, _ in model.tcn[0].conv1.named_parameters()))
