import torch

x = torch.arange(12, dtype=torch.float).view(3, 4)
x[1] = 0
x[:, 2] += 5
x[x > 8] = -1
x[0, [0, 3]] *= 10
x[2, ::2] = torch.tensor([7.0, 8.0])
print(x)
x.t()[0].fill_(9)
print(x[:, 0], x.sum(), x.mean(dim=0))
x.masked_fill_(x < 0, 0.5).clamp_(max=9).sub_(1).div_(2)
print(x.max(dim=1), x.min().item())
values, indices = x.sort(dim=1, descending=True)
print(values[:, 0], indices)

rows = torch.where(x.sum(1) > 10)[0]
print(rows, torch.nonzero(x > 3).tolist(), (x > 3).nonzero(as_tuple=True)[0])
print(torch.where(x > 2, x, torch.zeros_like(x)).sum().item())
mask = x.ge(1) & ~(x == 4) | (x < 0.1)
print(mask.sum().item(), mask.any(), mask.all(dim=1), x[mask].shape)

one_hot = torch.zeros(3, 5).scatter_(1, torch.tensor([[1], [4], [0]]), 1.0)
print(one_hot, one_hot.argmax(1))
counts = torch.zeros(4).index_add_(0, torch.tensor([0, 1, 1, 3]), torch.ones(4))
print(counts, torch.bincount(torch.tensor([0, 1, 1, 3])), counts.cumsum(0))
print(torch.gather(x, 1, torch.tensor([[0, 0], [1, 2], [3, 3]])))
print(torch.cat([x[:1], x[-1:]]).t().contiguous().view(2, -1))
print(x.unsqueeze(0).repeat(2, 1, 1).shape, x.expand(2, 3, 4).permute(2, 0, 1).size())
a, b = x.chunk(2, dim=1)
print(torch.einsum("ij,kj->ik", a, b), torch.outer(a[0], b[0]))
print(x.int().dtype == torch.int32, x.long() // 2, x.bool().sum(), x.byte().dtype == torch.uint8)
print(torch.unique(torch.tensor([3, 1, 1, 2])), torch.eye(2), torch.full((2,), 7))
print(torch.topk(x.flatten(), 3).values, x.var(), x.std(dim=0, unbiased=False), x.norm())
print(torch.arange(3).repeat_interleave(2), torch.tril(torch.ones(3, 3)), torch.triu(x))

w = torch.ones(4, requires_grad=True)
state = torch.zeros(3, 4)
losses = []
for step in range(20):
    out = torch.zeros(3, 4)
    for i in range(3):
        out[i] = w * x[i] if i == 0 else out[i - 1].clone() * 0.5 + w * x[i]
    loss = ((out - 2 * x) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        w.sub_(0.02 * w.grad)
    w.grad.zero_()
    state = state * 0.9 + out.detach()
    losses.append(loss.item())
print("%.4f" % losses[-1], state.shape, w.is_leaf, out.grad_fn is not None)
try:
    w += 1
except RuntimeError as e:
    print("leaf:", "leaf" in str(e))
