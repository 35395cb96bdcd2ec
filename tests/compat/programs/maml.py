"""MAML on sine waves: gradients through an inner step, by functional calls."""
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.func import functional_call

net = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
for p in net.parameters():
    p.data.copy_(torch.sin(torch.arange(p.numel()) ** 2 * 0.37).view_as(p) * 0.5)


def task(number):
    amplitude, phase = 1.0 + 0.3 * (number % 5), 0.4 * (number % 7)
    x = torch.linspace(-3, 3, 10).unsqueeze(1)
    return x[::2], amplitude * torch.sin(x[::2] + phase), x[1::2], amplitude * torch.sin(x[1::2] + phase)


def adapt(params, x, y, steps=2, lr=0.05):
    for _ in range(steps):
        loss = F.mse_loss(functional_call(net, params, (x,)), y)
        grads = torch.autograd.grad(loss, tuple(params.values()), create_graph=True)
        params = {name: p - lr * g for (name, p), g in zip(params.items(), grads)}
    return params


meta = torch.optim.Adam(net.parameters(), lr=0.02)
losses = []
for step in range(18):
    meta.zero_grad()
    total = 0.0
    for number in range(3 * step, 3 * step + 3):
        x, y, qx, qy = task(number)
        fast = adapt(dict(net.named_parameters()), x, y)
        total = total + F.mse_loss(functional_call(net, fast, (qx,)), qy)
    (total / 3).backward()
    meta.step()
    losses.append(total.item() / 3)
print("%.3f" % losses[0], all(p.grad.abs().sum() > 0 for p in net.parameters()))
x, y, qx, qy = task(5)
before = F.mse_loss(net(qx), qy)
after = F.mse_loss(functional_call(net, adapt(dict(net.named_parameters()), x, y), (qx,)), qy)
print(after.item() < before.item())
