import torch
import torch.nn as nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

accumulation_steps = 4
x = torch.sin(torch.arange(160.0)).view(32, 5)
y = (x.sum(1) > 0).long()


def make_model():
    model = nn.Sequential(nn.Linear(5, 10), nn.SiLU(), nn.Linear(10, 2))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.linspace(-0.6, 0.6, p.numel()).view_as(p))
    return model


criterion = nn.CrossEntropyLoss()
model, whole = make_model(), make_model()
optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
losses, norms = [], []
for epoch in range(6):
    optimizer.zero_grad()
    running = 0.0
    for i, (inputs, labels) in enumerate(zip(x.split(4), y.split(4))):
        loss = criterion(model(inputs), labels) / accumulation_steps
        loss.backward()
        running += loss.item()
        if (i + 1) % accumulation_steps == 0:
            norms.append(clip_grad_norm_(model.parameters(), max_norm=0.5).item())
            optimizer.step()
            optimizer.zero_grad()
    losses.append(running / 2)
print(["%.4f" % v for v in losses])
print(["%.4f" % v for v in norms])

# The gradient of one large batch is the mean of the small ones.
model.load_state_dict(whole.state_dict())
model.zero_grad()
for inputs, labels in zip(x.chunk(4), y.chunk(4)):
    (criterion(model(inputs), labels) / 4).backward()
criterion(whole(x), y).backward()
same = [torch.allclose(a.grad, b.grad, atol=1e-6) for a, b in zip(model.parameters(), whole.parameters())]
print(same)
clip_grad_value_(model.parameters(), 0.01)
print(max(p.grad.abs().max().item() for p in model.parameters()) <= 0.0100001)

total_norm = torch.norm(torch.stack([p.grad.detach().norm(2) for p in whole.parameters()]), 2)
print("%.5f" % total_norm)

groups = [{"params": whole[0].parameters(), "lr": 0.01}, {"params": whole[2].parameters()}]
optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=4)
for _ in range(4):
    optimizer.step()
    scheduler.step()
    print(["%.4f" % g["lr"] for g in optimizer.param_groups])
plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode="min", factor=0.1, patience=1)
optimizer.param_groups[0]["lr"] = 1.0
for metric in (1.0, 0.9, 0.95, 0.95, 0.95):
    plateau.step(metric)
print(optimizer.param_groups[0]["lr"])
