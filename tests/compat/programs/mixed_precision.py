import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint, checkpoint_sequential


class Block(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.up = nn.Linear(size, 4 * size)
        self.down = nn.Linear(4 * size, size)

    def forward(self, x):
        return x + self.down(F.gelu(self.up(self.norm(x))))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Linear(8, 16)
        self.blocks = nn.ModuleList([Block(16) for _ in range(3)])
        self.head = nn.Sequential(nn.LayerNorm(16), nn.Linear(16, 3))

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False)
        return self.head(x)


x = torch.cos(torch.arange(24 * 8) ** 2 * 0.0523).view(24, 8)
y = (x[:, 0] > 0).long() + (x[:, 1] > 0).long()


def train(enabled):
    model = Model()
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.sin(torch.arange(p.numel()) ** 2 * 0.37).view_as(p) * 0.4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for _ in range(30):
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device_type="cpu", dtype=torch.bfloat16, enabled=enabled):
            logits = model(x)
            loss = F.cross_entropy(logits, y)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    print(logits.dtype, loss.dtype, {p.grad.dtype for p in model.parameters()})
    return model, losses


_, losses = train(enabled=False)
model, low_losses = train(enabled=True)
print(low_losses[-1] < 0.9 * low_losses[0], abs(low_losses[0] - losses[0]) < 0.05)


@torch.autocast("cpu", dtype=torch.bfloat16)
@torch.no_grad()
def evaluate(x):
    with torch.autocast("cpu", enabled=False):
        exact = model(x)
    return model(x), exact


low, exact = evaluate(x)
print(torch.is_autocast_enabled("cpu"), low.dtype == torch.bfloat16, exact.dtype == torch.float32)
print(bool((low.float() - exact).abs().max() < 0.2), torch.get_autocast_dtype("cpu"))

chain = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1))
chain(x).sum().backward()
expected = [p.grad.clone() for p in chain.parameters()]
chain.zero_grad()
checkpoint_sequential(chain, 2, x, use_reentrant=False).sum().backward()
print(all(torch.allclose(p.grad, g) for p, g in zip(chain.parameters(), expected)))
