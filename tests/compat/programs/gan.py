import torch
import torch.nn as nn

torch.manual_seed(3)
latent = 4


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(latent, 16), nn.BatchNorm1d(16), nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(16, 1),
        )

    def forward(self, z):
        return self.model(z)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(1, 16), nn.LeakyReLU(0.2, inplace=True), nn.Linear(16, 1), nn.Sigmoid()
        )

    def forward(self, x):
        return self.model(x)


G, D = Generator(), Discriminator()
adversarial_loss = nn.BCELoss()
optimizer_G = torch.optim.Adam(G.parameters(), lr=0.01, betas=(0.5, 0.999))
optimizer_D = torch.optim.Adam(D.parameters(), lr=0.01, betas=(0.5, 0.999))

losses = []  # how far the mean of what is generated is from the data's
for i in range(150):
    real = torch.randn(64, 1) * 0.5 + 3.0
    valid = torch.ones(64, 1)
    fake = torch.zeros(64, 1)

    optimizer_G.zero_grad()
    z = torch.randn(real.shape[0], latent)
    generated = G(z)
    g_loss = adversarial_loss(D(generated), valid)
    g_loss.backward()
    optimizer_G.step()

    optimizer_D.zero_grad()
    real_loss = adversarial_loss(D(real), valid)
    fake_loss = adversarial_loss(D(generated.detach()), fake)
    d_loss = (real_loss + fake_loss) / 2
    d_loss.backward()
    optimizer_D.step()

    losses.append(abs(generated.mean().item() - 3.0))
print(generated.shape, g_loss.dim(), d_loss.requires_grad)
for p in D.parameters():
    p.requires_grad_(False)
g_loss = adversarial_loss(D(G(torch.randn(8, latent))), torch.ones(8, 1))
g_loss.backward()
print(all(p.grad is not None for p in G.parameters()))
