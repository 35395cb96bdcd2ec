import torch

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def rosenbrock(v):
    return (1 - v[0]) ** 2 + 100 * (v[1] - v[0] ** 2) ** 2


v = torch.tensor([-1.2, 1.0], requires_grad=True)
optimizer = torch.optim.LBFGS([v], lr=1, max_iter=20, history_size=10, line_search_fn="strong_wolfe")
losses = []


def closure():
    optimizer.zero_grad()
    loss = rosenbrock(v)
    loss.backward()
    return loss


for i in range(6):
    losses.append(optimizer.step(closure).item())
print([round(u, 6) for u in v.tolist()])

# Fit of a curve, full batch.
t = torch.linspace(0, 4, 40)
y = 2.5 * torch.exp(-1.3 * t) * torch.cos(4 * t)
params = torch.nn.Parameter(torch.tensor([2.0, -1.0, 3.8]))
optimizer = torch.optim.LBFGS([params], lr=0.5)


def closure():
    optimizer.zero_grad()
    a, b, c = params
    loss = torch.nn.functional.mse_loss(a * torch.exp(b * t) * torch.cos(c * t), y)
    loss.backward()
    return loss


for epoch in range(5):
    loss = optimizer.step(closure)
print([round(p, 5) for p in params.detach().numpy().tolist()], params.dtype == torch.double)
torch.set_default_dtype(torch.float32)
print(torch.get_default_dtype() == torch.float, torch.tensor(1.0).dtype == torch.float32)

H = torch.autograd.functional.hessian(rosenbrock, torch.tensor([1.0, 1.0]))
print(H, torch.linalg.eigvalsh(H).min() > 0)
J = torch.autograd.functional.jacobian(lambda u: torch.stack([u.sum(), u.prod()]), torch.tensor([2.0, 3.0]))
print(J)
