import torch
import torch.utils.data
from torch import nn, optim
from torch.nn import functional as F

torch.manual_seed(1)


class VAE(nn.Module):
    def __init__(self):
        super(VAE, self).__init__()
        self.fc1 = nn.Linear(36, 20)
        self.fc21 = nn.Linear(20, 3)
        self.fc22 = nn.Linear(20, 3)
        self.fc3 = nn.Linear(3, 20)
        self.fc4 = nn.Linear(20, 36)

    def encode(self, x):
        h1 = F.relu(self.fc1(x))
        return self.fc21(h1), self.fc22(h1)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def decode(self, z):
        h3 = F.relu(self.fc3(z))
        return torch.sigmoid(self.fc4(h3))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, 36))
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


def loss_function(recon_x, x, mu, logvar):
    BCE = F.binary_cross_entropy(recon_x, x.view(-1, 36), reduction="sum")
    KLD = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return BCE + KLD


images = torch.zeros(64, 6, 6)
for i in range(64):
    images[i, i % 6] = 1.0
    images[i, :, (i // 6) % 6] = 0.8
images += 0.05 * torch.rand_like(images)
images.clamp_(0, 1)
loader = torch.utils.data.DataLoader(images, batch_size=16, shuffle=True)

model = VAE()
optimizer = optim.Adam(model.parameters(), lr=2e-2)
losses = []
for epoch in range(30):
    model.train()
    train_loss = 0
    for data in loader:
        optimizer.zero_grad()
        recon_batch, mu, logvar = model(data)
        loss = loss_function(recon_batch, data, mu, logvar)
        loss.backward()
        train_loss += F.mse_loss(recon_batch, data.view(-1, 36)).item() * len(data)
        optimizer.step()
    losses.append(train_loss / len(images))
with torch.no_grad():
    sample = model.decode(torch.randn(5, 3)).view(5, 1, 6, 6)
print(sample.shape, mu.shape)
print(bool((sample >= 0).all() and (sample <= 1).all()))
