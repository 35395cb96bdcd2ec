import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.utils.prune as prune

device = (
    torch.accelerator.current_accelerator()
    if torch.accelerator.is_available() and not torch.xpu.is_available()
    else torch.device("cpu")
)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.fc = nn.Linear(36, 3)

    def forward(self, x):
        return self.fc(F.max_pool2d(F.relu(self.conv(x)), 2).flatten(1))


def sparsity(module):
    return 100.0 * float(torch.sum(module.weight == 0)) / float(module.weight.nelement())


class EveryThird(prune.BasePruningMethod):
    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        mask = default_mask.clone()
        mask.view(-1)[::3] = 0
        return mask


model = Net().to(device)
for i, p in enumerate(model.parameters()):
    p.data.copy_(torch.sin(torch.arange(p.numel()) * 1.7 + i).view(p.shape) / 3)
x = torch.cos(torch.arange(12 * 64.0).square()).view(12, 1, 8, 8)
y = torch.arange(12) % 3
losses = []


def train(steps):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(steps):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())


train(8)
prune.ln_structured(model.conv, name="weight", amount=1, n=2, dim=0)
prune.global_unstructured(
    [(model.conv, "weight"), (model.fc, "weight")], pruning_method=prune.L1Unstructured, amount=0.3
)
print("conv %.1f%%, fc %.1f%%" % (sparsity(model.conv), sparsity(model.fc)))
print(sorted(dict(model.named_buffers())), [n for n, _ in model.named_parameters()])
train(22)
for hook in model.conv._forward_pre_hooks.values():
    if hook._tensor_name == "weight":
        print([type(method).__name__ for method in hook])
for module in (model.conv, model.fc):
    prune.remove(module, "weight")
print("%.1f%%" % sparsity(model.conv), prune.is_pruned(model), sorted(model.state_dict()))
EveryThird.apply(model.fc, "bias")
print(model.fc.bias_mask, model.fc.bias.shape)
