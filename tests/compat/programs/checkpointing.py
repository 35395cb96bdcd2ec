import io
import os
import tempfile

import torch
import torch.nn as nn
import torch.optim as optim


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(3, 8, bias=False)
        self.bn = nn.BatchNorm1d(8)
        self.fc2 = nn.Linear(8, 1)

    def forward(self, x):
        return self.fc2(torch.relu(self.bn(self.fc1(x))))


x = torch.sin(torch.arange(60.0)).view(20, 3)
y = x.sum(1, keepdim=True)


def fresh():
    model = Net()
    for p in model.parameters():
        p.data = torch.linspace(-0.5, 0.7, p.numel()).view(p.shape)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.95)
    return model, optimizer, scheduler


def train(model, optimizer, scheduler, epochs):
    history = []
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
        history.append(loss.item())
    return history


model, optimizer, scheduler = fresh()
losses = train(model, optimizer, scheduler, 10)
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "checkpoint.pth")
    torch.save(
        {
            "epoch": 10,
            "model_state_dict": model.state_dict(),
            "optimizer_state_dict": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
            "loss": losses[-1],
        },
        path,
    )
    straight = train(model, optimizer, scheduler, 10)

    model2, optimizer2, scheduler2 = fresh()
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    print(model2.load_state_dict(checkpoint["model_state_dict"]))
    optimizer2.load_state_dict(checkpoint["optimizer_state_dict"])
    scheduler2.load_state_dict(checkpoint["scheduler"])
    print("epoch", checkpoint["epoch"], "lr %.5f" % optimizer2.param_groups[0]["lr"])
    resumed = train(model2, optimizer2, scheduler2, 10)
print("same course:", straight == resumed)
losses += resumed
print("%.4f" % losses[-1])

buffer = io.BytesIO()
torch.save(model.state_dict(), buffer)
buffer.seek(0)
state = torch.load(buffer)
print({k: tuple(v.shape) for k, v in state.items()})
for name in list(state):
    if name.startswith("fc2"):
        del state[name]
print(model.load_state_dict(state, strict=False))
print(sorted(optimizer.state_dict()["state"][0]), optimizer.state_dict()["param_groups"][0]["betas"])
buffer = io.BytesIO()
torch.save([torch.arange(3), {"a": torch.tensor(1.5)}], buffer)
buffer.seek(0)
print(torch.load(buffer))
