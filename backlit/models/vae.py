"""Variational autoencoder: codes are drawn, and kept near a standard normal.

Kingma and Welling 2013, "Auto-encoding variational Bayes": Bernoulli data, a diagonal normal
over codes, drawn as mean + sigma * noise so that gradients reach mean and sigma.
"""

from __future__ import annotations

import backlit as bl
from backlit import nn
from backlit.nn import functional as F
from backlit.tensor import Tensor


class VAE(nn.Module):
    """Vectors (N, size) in 0 to 1 to logits (N, size), and mean and log variance (N, code).

    While training the code is drawn, in eval mode it is the mean. 652,824 parameters.

    >>> from backlit import models
    >>> net, x = models.VAE(size=6, hidden=8, code=2), bl.rand(3, 6)
    >>> logits, mean, log_variance = net(x)
    >>> logits.shape == (3, 6) and mean.shape == (3, 2)
    True
    """

    def __init__(self, size: int = 784, hidden: int = 400, code: int = 20) -> None:
        super().__init__()
        self.code = code
        self.encoder = nn.Linear(size, hidden)
        self.mean = nn.Linear(hidden, code)
        self.log_variance = nn.Linear(hidden, code)
        self.decoder = nn.Sequential(nn.Linear(code, hidden), nn.ReLU(), nn.Linear(hidden, size))

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance (N, code) of the codes of x.

        >>> from backlit import models
        >>> mean, _ = models.VAE(6, 8, 2).encode(bl.zeros(3, 6)); mean.shape == (3, 2)
        True
        """
        hidden = F.relu(self.encoder(x))
        return self.mean(hidden), self.log_variance(hidden)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = self.encode(x)
        code = mean
        if self.training:
            code = mean + (0.5 * log_variance).exp() * bl.randn_like(mean)
        return self.decoder(code), mean, log_variance

    @bl.no_grad()
    def sample(self, count: int) -> Tensor:
        """New data (count, size), decoded from codes drawn from the standard normal.

        >>> from backlit import models
        >>> models.VAE(6, 8, 2).sample(4).shape == (4, 6)
        True
        """
        weight = self.decoder[0].weight
        code = bl.randn(count, self.code, dtype=weight.dtype, device=weight.device)
        return self.decoder(code).sigmoid()  # type: ignore[no-any-return]


def negative_elbo(logits: Tensor, x: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Minus the evidence lower bound in nats, averaged over the batch; x (N, size) in 0 to 1.

    Binary cross-entropy of the data plus KL(code || standard normal), which is
    (mean^2 + variance - 1 - log variance) / 2 for each entry (Kingma and Welling, appendix B).

    >>> from backlit import models
    >>> x, logits, mean = bl.ones(1, 4), bl.zeros(1, 4), bl.ones(1, 2)
    >>> round(models.negative_elbo(logits, x, mean, bl.zeros(1, 2)).item(), 4)
    3.7726
    """
    data = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    divergence = 0.5 * (mean**2 + log_variance.exp() - 1.0 - log_variance).sum()
    return (data + divergence) / x.shape[0]
