import torch
import torch.nn as nn
import torch.nn.functional as F


class ConvAutoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, padding=1),
            nn.ReLU(True),
            nn.Conv2d(4, 8, 3, stride=2, padding=1),
            nn.ReLU(True),
            nn.Flatten(),
            nn.Linear(8 * 4 * 4, 10),
        )
        self.decoder = nn.Sequential(
            nn.Linear(10, 8 * 4 * 4),
            nn.Unflatten(1, (8, 4, 4)),
            nn.ConvTranspose2d(8, 4, 3, stride=2, padding=1, output_padding=1),
            nn.ReLU(True),
            nn.ConvTranspose2d(4, 1, 3, stride=2, padding=1, output_padding=1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        z = self.encoder(x)
        return self.decoder(z), z


def init(model):
    for n, p in enumerate(model.parameters()):
        fan = p[0].numel() if p.dim() > 1 else p.numel()
        values = torch.sin(torch.arange(p.numel(), dtype=torch.float32) * 12.9 + n)
        p.data.copy_(values.reshape_as(p) * (2.0 / fan) ** 0.5)


grid = torch.stack(torch.meshgrid(torch.arange(16.0), torch.arange(16.0), indexing="ij"))
centers = torch.tensor([[4.0, 4], [4, 12], [12, 4], [12, 12], [8, 8], [6, 10]])
images = torch.stack([torch.exp(-((grid - c[:, None, None]) ** 2).sum(0) / 8) for c in centers])
images = images.unsqueeze(1)
noisy = (images + 0.1 * torch.sin(images * 100)).clamp(0.0, 1.0)

model = ConvAutoencoder()
init(model)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, weight_decay=1e-5)
losses = []
for epoch in range(30):
    recon, code = model(noisy)
    loss = F.mse_loss(recon, images)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if epoch % 10 == 9:
        print(f"epoch {epoch + 1}: {loss.item():.4f}")
print(recon.size(), code.size(), F.l1_loss(recon, images).item() < 0.5)
