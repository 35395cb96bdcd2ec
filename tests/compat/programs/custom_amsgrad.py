import torch
from torch import nn
from torch.optim import Optimizer
from torch.utils._pytree import tree_map
from torch.utils.data import DataLoader, RandomSampler, TensorDataset


class AMSGrad(Optimizer):
    def __init__(self, params, lr=1e-2, betas=(0.9, 0.99), eps=1e-8):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps))

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["step"] = 0
                    for name in ("mean", "square", "largest"):
                        state[name] = torch.zeros_like(p)
                state["step"] += 1
                mean, square, largest = state["mean"], state["square"], state["largest"]
                torch.add(mean * beta1, p.grad, alpha=1 - beta1, out=mean)
                square.mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
                torch.maximum(largest, square, out=largest)
                torch.max(largest, square, out=largest)
                p.addcdiv_(mean, torch.sqrt(largest).add_(group["eps"]), value=-group["lr"])


model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
for i, p in enumerate(model.parameters()):
    p.data.copy_(torch.sin(torch.arange(p.numel()) * 0.9 + i).view(p.shape))
start = tree_map(lambda p: p.detach().clone(), dict(model.named_parameters()))

x = torch.cos(torch.arange(48.0).square()).view(16, 3)
y = x.prod(dim=1, keepdim=True)
optimizer = AMSGrad(model.parameters(), lr=0.05)
losses = []
for step in range(30):
    loss = (model(x) - y).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
moved = tree_map(lambda a, b: (a - b).abs().max().item(), start, dict(model.named_parameters()))
print({name: round(value, 3) for name, value in moved.items()})

# an endless loader, as training loops by steps use it
endless = RandomSampler(range(16), replacement=True, num_samples=int(1e10))
batches = iter(DataLoader(TensorDataset(x, y), batch_size=4, sampler=endless))
print([tuple(t.shape) for t in next(batches)], len(endless))

values, indices = torch.empty(3), torch.empty(3, dtype=torch.long)
torch.max(torch.tensor([[1.0, 4.0], [3.0, 2.0], [0.0, 0.5]]), dim=1, out=(values, indices))
print(values, indices)
table = torch.zeros(2, 3)
torch.cat([values[:1], values[1:]], out=table[1])
torch.matmul(table.T, table, out=torch.zeros(3, 3))
print(table)
try:
    torch.add(model[0].weight, 1, out=torch.zeros(8, 3))
except RuntimeError as error:
    print("out=" in str(error))
