"""A loss scaled for float16, with clipping, a skipped step and the scaler in the checkpoint."""
import torch
import torch.nn as nn
import torch.optim as optim
from torch.amp import GradScaler, autocast
from torch.cuda.amp import autocast as older_autocast

model = nn.Sequential(nn.Linear(5, 12), nn.ReLU(), nn.Linear(12, 1))
for p in model.parameters():
    p.data.copy_(torch.sin(torch.arange(p.numel()) ** 2 * 0.37).view_as(p) * 0.5)
x = torch.sin(torch.arange(40 * 5, dtype=torch.float32) ** 2 * 0.017).view(40, 5)
y = x[:, :1] * 2 - x[:, 1:2]
optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
scaler = GradScaler("cpu", init_scale=2.0 ** 8, growth_interval=5)
losses = []
for step in range(30):
    optimizer.zero_grad()
    with autocast(device_type="cpu", enabled=False):
        loss = nn.functional.mse_loss(model(x), y)
    scale = float("inf") if step == 12 else 1.0
    scaler.scale(loss * scale).backward()
    scaler.unscale_(optimizer)
    if step != 12:
        nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
    scaler.step(optimizer)
    scaler.update()
    losses.append(loss.item())
    if step % 6 == 5 or step == 12:
        print(step, scaler.get_scale())
print(scaler.state_dict())
again = GradScaler("cpu")
again.load_state_dict(scaler.state_dict())
print(again.get_scale() == scaler.get_scale(), losses[13] == losses[12])
with older_autocast(enabled=False):
    print((model(x) @ torch.ones(1, 2)).dtype)
