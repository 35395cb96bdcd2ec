import copy

import torch
import torch.nn as nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class EMA:
    def __init__(self, model, decay):
        self.decay = decay
        self.shadow = {n: p.data.clone() for n, p in model.named_parameters() if p.requires_grad}
        self.backup = {}

    def update(self, model):
        for name, param in model.named_parameters():
            if param.requires_grad:
                new_average = (1.0 - self.decay) * param.data + self.decay * self.shadow[name]
                self.shadow[name] = new_average.clone()

    def apply_shadow(self, model):
        for name, param in model.named_parameters():
            self.backup[name] = param.data
            param.data = self.shadow[name]

    def restore(self, model):
        for name, param in model.named_parameters():
            param.data = self.backup[name]


model = nn.Sequential(nn.Linear(3, 6, bias=False), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 1))
for p in model.parameters():
    p.data.copy_(torch.linspace(-1, 1, p.numel()).reshape(p.shape))
teacher = copy.deepcopy(model)
for p in teacher.parameters():
    p.requires_grad_(False)

ema = EMA(model, 0.9)
averaged = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
x = torch.cos(torch.arange(48.0)).view(16, 3)
y = x.prod(dim=1, keepdim=True) + 0.3
losses = []
for step in range(30):
    loss = nn.functional.smooth_l1_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    ema.update(model)
    averaged.update_parameters(model)
    with torch.no_grad():
        for t, s in zip(teacher.parameters(), model.parameters()):
            t.mul_(0.9).add_(s, alpha=0.1)
        for t, s in zip(teacher.buffers(), model.buffers()):
            t.copy_(s)
    losses.append(loss.item())
print("%.4f" % losses[-1])

w = model[0].weight.clone()
model.eval()
before = model(x).mean().item()
ema.apply_shadow(model)
during = model(x).mean().item()
ema.restore(model)
print("%.4f %.4f" % (before, during), torch.equal(w, model[0].weight))
print(torch.allclose(teacher[0].weight, ema.shadow["0.weight"], atol=1e-6))
print(averaged.n_averaged.item(), [tuple(p.shape) for p in averaged.parameters()][:2])
lerped = torch.lerp(torch.zeros(3), torch.ones(3), 0.25)
print(lerped, torch.zeros(2).lerp_(torch.ones(2), 0.5))
