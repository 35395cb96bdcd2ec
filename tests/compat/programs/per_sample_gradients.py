import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.func import functional_call, grad, grad_and_value, hessian, jacrev, jvp, vjp, vmap


class SimpleCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4, 3, 2)
        self.fc1 = nn.Linear(4 * 3 * 3, 3)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        return F.log_softmax(self.fc1(torch.flatten(x, 1)), dim=1)


model = SimpleCNN()
with torch.no_grad():
    for p in model.parameters():
        p.copy_(torch.sin(torch.arange(p.numel()) * 0.7).view_as(p) * 0.5)
data = torch.cos(torch.arange(6 * 49) * 0.31).view(6, 1, 7, 7)
targets = torch.arange(6) % 3

params = {k: v.detach() for k, v in model.named_parameters()}
buffers = {k: v.detach() for k, v in model.named_buffers()}


def compute_loss(params, buffers, sample, target):
    batch = sample.unsqueeze(0)
    predictions = functional_call(model, (params, buffers), (batch,))
    return F.nll_loss(predictions, target.unsqueeze(0))


ft_compute_sample_grad = vmap(grad(compute_loss), in_dims=(None, None, 0, 0))
per_sample = ft_compute_sample_grad(params, buffers, data, targets)
print({k: tuple(v.shape) for k, v in per_sample.items()})

expected = []
for i in range(6):
    loss = F.nll_loss(model(data[i : i + 1]), targets[i : i + 1])
    expected.append(torch.autograd.grad(loss, list(model.parameters())))
for per, each in zip(per_sample.values(), zip(*expected)):
    print(torch.allclose(per, torch.stack(each), atol=1e-5))
norms = torch.stack([g.flatten(1).norm(dim=1) for g in per_sample.values()]).norm(dim=0)
print(["%.4f" % n for n in norms.tolist()])

# Training without an optimizer object.
losses = []
for _ in range(15):
    whole = lambda p: F.nll_loss(functional_call(model, p, data), targets)
    grads, value = grad_and_value(whole)(params)
    params = {k: v - 0.5 * grads[k] for k, v in params.items()}
    losses.append(value.item())
print("%.4f -> %.4f" % (losses[0], losses[-1]))

f = lambda x: (x**3).sum()
x = torch.tensor([1.0, 2.0, 3.0])
print(hessian(f)(x).diagonal(), jacrev(torch.sin)(x).shape)
value, tangent = jvp(f, (x,), (torch.ones(3),))
print(value, tangent)
out, pull = vjp(torch.exp, x)
print(torch.allclose(pull(torch.ones(3))[0], out))
print(vmap(torch.dot)(torch.ones(4, 3), torch.arange(12.0).view(4, 3)))
