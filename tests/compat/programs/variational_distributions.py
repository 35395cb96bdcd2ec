"""A variational autoencoder written with distributions: rsample and kl_divergence."""
import torch
import torch.nn as nn
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(7)
rows = (torch.arange(60) % 4).view(-1, 1)
x = ((torch.arange(16).view(1, -1) // 4) == rows).float()


class VAE(nn.Module):
    def __init__(self, latent=2):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(16, 24), nn.Tanh(), nn.Linear(24, 2 * latent))
        self.decoder = nn.Sequential(nn.Linear(latent, 24), nn.Tanh(), nn.Linear(24, 16))
        self.register_buffer("zero", torch.zeros(latent))

    def posterior(self, x):
        mean, log_scale = self.encoder(x).chunk(2, dim=-1)
        return Independent(Normal(mean, log_scale.clamp(-5, 3).exp()), 1)

    @property
    def prior(self):
        return Independent(Normal(self.zero, torch.ones_like(self.zero)), 1)

    def elbo(self, x):
        q = self.posterior(x)
        likelihood = Independent(Bernoulli(logits=self.decoder(q.rsample())), 1)
        prior = Independent(Normal(torch.zeros_like(q.mean), 1.0), 1)
        return likelihood.log_prob(x) - kl_divergence(q, prior)


model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
losses = []
for epoch in range(15):
    for (batch,) in DataLoader(TensorDataset(x), batch_size=20, shuffle=True):
        loss = -model.elbo(batch).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
q = model.posterior(x[:3])
print(q.batch_shape, q.event_shape, q.rsample((4,)).shape, q.has_rsample)
print(model.prior.log_prob(torch.zeros(2)).item(), model.prior.entropy().item())
