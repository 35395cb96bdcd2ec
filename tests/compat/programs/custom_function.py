import torch
from torch.autograd import Function


class ClampedReLU(Function):
    @staticmethod
    def forward(ctx, x, ceiling):
        ctx.save_for_backward(x)
        ctx.ceiling = ceiling
        return x.clamp(min=0, max=ceiling)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        grad = grad_output.clone()
        grad[x < 0] = 0
        grad[x > ctx.ceiling] = 0
        return grad, None


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return torch.round(x)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output


class Exp(Function):
    @staticmethod
    def forward(ctx, i):
        result = i.exp()
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, grad_output):
        (result,) = ctx.saved_tensors
        return grad_output * result


x = torch.linspace(-2, 2, 9, requires_grad=True)
y = ClampedReLU.apply(x * 3, 4.0)
y.sum().backward()
print(y.detach().tolist(), x.grad.tolist())

x.grad = None
(StraightThrough.apply(x * 2) * torch.arange(9.0)).sum().backward()
print(x.grad)

z = torch.tensor([0.1, 0.2], dtype=torch.double, requires_grad=True)
print("gradcheck:", torch.autograd.gradcheck(Exp.apply, (z,), eps=1e-6, atol=1e-6))
(g,) = torch.autograd.grad(Exp.apply(z).sum(), z, create_graph=True)
(h,) = torch.autograd.grad(g.sum(), z)
print(torch.allclose(h, z.exp()))

w = torch.full((9,), 0.3, requires_grad=True)
optimizer = torch.optim.SGD([w], lr=0.1)
losses = []
for _ in range(30):
    optimizer.zero_grad()
    loss = ((ClampedReLU.apply(w * 2, 5.0) - torch.linspace(0, 4, 9)) ** 2).mean()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(f"{losses[-1]:.4f}", w.grad.norm().item() > 0)
