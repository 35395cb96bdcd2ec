import torch
import torch.autograd as autograd
import torch.nn as nn

critic = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Softplus(), nn.Linear(16, 1))
for i, p in enumerate(critic.parameters()):
    p.data = torch.sin(torch.arange(p.numel()) * 1.3 + i).reshape(p.shape) * 0.7


def compute_gradient_penalty(D, real_samples, fake_samples, alpha):
    interpolates = (alpha * real_samples + (1 - alpha) * fake_samples).requires_grad_(True)
    d_interpolates = D(interpolates)
    fake = torch.ones(real_samples.shape[0], 1, requires_grad=False)
    gradients = autograd.grad(
        outputs=d_interpolates,
        inputs=interpolates,
        grad_outputs=fake,
        create_graph=True,
        retain_graph=True,
        only_inputs=True,
    )[0]
    gradients = gradients.view(gradients.size(0), -1)
    return ((gradients.norm(2, dim=1) - 1) ** 2).mean()


real = torch.stack([torch.cos(torch.arange(32.0)), torch.sin(torch.arange(32.0))], 1)
fake = torch.linspace(-1, 1, 64).view(32, 2)
alpha = torch.linspace(0, 1, 32).unsqueeze(1)
optimizer = torch.optim.RMSprop(critic.parameters(), lr=0.002)
losses = []
for step in range(30):
    optimizer.zero_grad()
    penalty = compute_gradient_penalty(critic, real, fake, alpha)
    loss = critic(fake).mean() - critic(real).mean() + 10 * penalty
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("%.4f %.4f" % (losses[-1], penalty.item()))

# One step of MAML: the gradient through a gradient step.
w = torch.tensor([1.0, -2.0], requires_grad=True)
inner = ((w * torch.tensor([1.0, 3.0])).sum() - 1) ** 2
(g,) = torch.autograd.grad(inner, w, create_graph=True)
outer = ((w - 0.01 * g) ** 2).sum()
outer.backward()
print(w.grad)

# Hessian-vector products, twice back.
x = torch.tensor([0.5, 1.5], requires_grad=True)
y = (x**4).sum() + x.prod()
(g,) = torch.autograd.grad(y, x, create_graph=True)
(hv,) = torch.autograd.grad(g, x, grad_outputs=torch.tensor([1.0, 2.0]))
print(hv)
unused = torch.ones(1, requires_grad=True)
print(torch.autograd.grad((x * 2).sum(), [x, unused], allow_unused=True)[1])
try:
    torch.autograd.grad(y, x)
    torch.autograd.grad(y, x)
except RuntimeError as e:
    print("second time:", "retain_graph" in str(e))
