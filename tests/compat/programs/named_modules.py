import torch
import torch.nn as nn
import torch.nn.functional as F
from collections import OrderedDict


class Head(nn.Module):
    def __init__(self, d_in, d_out):
        super(Head, self).__init__()
        self.norm = nn.LayerNorm(d_in)
        self.proj = nn.Linear(d_in, d_out)
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.register_buffer("calls", torch.tensor(0))

    def forward(self, x):
        self.calls += 1
        return self.scale * self.proj(self.norm(x))


class Net(nn.Module):
    def __init__(self, hidden=(8, 8)):
        super().__init__()
        sizes = [4, *hidden]
        self.body = nn.Sequential(
            OrderedDict(
                (f"fc{i}", nn.Linear(a, b)) for i, (a, b) in enumerate(zip(sizes, sizes[1:]))
            )
        )
        self.heads = nn.ModuleDict({"cls": Head(sizes[-1], 3), "reg": Head(sizes[-1], 1)})
        self.mix = nn.ParameterList([nn.Parameter(torch.ones(2)) for _ in range(2)])

    def forward(self, x):
        for layer in self.body:
            x = F.relu(layer(x))
        return {name: head(x) for name, head in self.heads.items()}


def init_weights(m):
    if isinstance(m, nn.Linear):
        n = m.weight.numel()
        with torch.no_grad():
            m.weight.copy_(torch.cos(torch.arange(n, dtype=torch.float)).view_as(m.weight) * 0.4)
        m.bias.data.fill_(0.05)


model = Net()
model.apply(init_weights)
print(model.body, model.heads)
for name, p in model.named_parameters():
    print(name, tuple(p.shape), p.requires_grad)
print([n for n, _ in model.named_children()])
print([type(m).__name__ for m in model.modules()])
print(list(model.state_dict().keys()))
print("trainable:", sum(p.numel() for p in model.parameters() if p.requires_grad))

seen = []
handle = model.heads["cls"].proj.register_forward_hook(
    lambda module, inputs, output: seen.append((module.__class__.__name__, output.shape))
)
x = torch.arange(20.0).reshape(5, 4) / 20
out = model(x)
handle.remove()
model(x)
print(seen[0][0], list(seen[0][1]), len(seen), model.heads.cls.calls.item())
print({k: list(v.shape) for k, v in out.items()})

for p in model.body.parameters():
    p.requires_grad = False
params = [p for p in model.parameters() if p.requires_grad and p.shape != (2,)]
optimizer = torch.optim.Adam(params, lr=0.03)
target = torch.tensor([0, 1, 2, 1, 0])
losses = []
for _ in range(80):
    out = model(x)
    loss = F.cross_entropy(out["cls"], target) + out["reg"].pow(2).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    losses.append(float(loss))
print("loss %.3f" % losses[-1], "frozen:", model.body.fc0.weight.grad is None)

try:
    model.load_state_dict({"body.fc0.weight": torch.zeros(8, 4)})
except RuntimeError as err:
    print("refused:", "Missing key(s)" in str(err))
found = model.load_state_dict({"body.fc0.weight": torch.zeros(8, 4)}, strict=False)
print(len(found.missing_keys), found.unexpected_keys, float(model.body.fc0.weight.abs().sum()))
