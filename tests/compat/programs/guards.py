"""What programs ask before they use a GPU, several processes or a compiler."""
import os

import torch
import torch.backends.cudnn as cudnn
import torch.distributed as dist
import torch.multiprocessing as mp
import torch.nn as nn
import torch.optim as optim
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data.distributed import DistributedSampler

cudnn.deterministic = True
cudnn.benchmark = False
torch.backends.cuda.matmul.allow_tf32 = True
ddp = int(os.environ.get("RANK_OF_NOBODY", -1)) != -1
if torch.cuda.is_available():
    device = torch.device("cuda")
    torch.cuda.manual_seed_all(0)
elif torch.backends.mps.is_available():
    device = torch.device("mps")
else:
    device = torch.device("cpu")
if ddp:
    mp.spawn(print, nprocs=2)
FloatTensor = torch.cuda.FloatTensor if device.type == "cuda" else torch.FloatTensor
print(device, torch.cuda.device_count() > 1, torch.cuda.max_memory_allocated())


@torch.jit.script
def swish(x):
    return x * torch.sigmoid(x)


class Net(nn.Module):
    scale: torch.jit.Final[int]

    def __init__(self):
        super().__init__()
        self.scale = 2
        self.fc1, self.fc2 = nn.Linear(4, 8), nn.Linear(8, 1)
        self.apply(self.init)

    @torch.no_grad()
    def init(self, m):
        if type(m) == nn.Linear:
            m.weight.copy_(torch.cos(torch.arange(m.weight.numel())).view_as(m.weight) * 0.5)
            m.bias.fill_(0.01)

    @torch.jit.ignore
    def no_weight_decay(self):
        return {"fc1.bias", "fc2.bias"}

    def forward(self, x):
        x = swish(self.fc1(x))
        if not torch.jit.is_scripting():
            x = x * self.scale
        return self.fc2(x)


model = Net().to(device=device, memory_format=torch.channels_last)
skip = model.no_weight_decay()
groups = [{"params": [p for n, p in model.named_parameters() if n not in skip], "weight_decay": 1e-2},
          {"params": [p for n, p in model.named_parameters() if n in skip], "weight_decay": 0.0}]
sampler = DistributedSampler([1, 2]) if ddp else None
if ddp:
    model = DDP(model)
elif torch.cuda.device_count() > 1:
    model = nn.DataParallel(model)
optimizer = optim.AdamW(groups, lr=0.05, fused=device.type == "cuda")
scheduler = LambdaLR(optimizer, lr_lambda=[lambda e: 0.97 ** e, lambda e: 0.9 ** e])
x = torch.sin(torch.arange(64.0)).view(16, 4).type(FloatTensor)
y = x.sum(dim=1, keepdim=True).pow(2)
losses = []
for _ in range(24):
    optimizer.zero_grad(set_to_none=True)
    loss = nn.SmoothL1Loss()(model(x), y)
    loss.backward()
    optimizer.step()
    scheduler.step()
    losses.append(loss.item())
torch.cuda.empty_cache()
print(["%.4f" % lr for lr in scheduler.get_last_lr()], len(optimizer.param_groups))
