"""Word vectors by negative sampling, with a cosine search for the nearest."""
import torch
import torch.nn as nn
import torch.nn.functional as F

corpus = ("king rules the land queen rules the land dog runs in park cat runs in park " * 3).split()
vocabulary = sorted(set(corpus))
word_to_ix = {w: i for i, w in enumerate(vocabulary)}
pairs = [(word_to_ix[corpus[i]], word_to_ix[corpus[j]])
         for i in range(len(corpus)) for j in (i - 1, i + 1) if 0 <= j < len(corpus)]


class SkipGram(nn.Module):
    def __init__(self, size, dim):
        super().__init__()
        self.inside = nn.Embedding(size, dim)
        self.outside = nn.Embedding(size, dim)
        self.inside.weight.data.copy_(torch.sin(torch.arange(size * dim) ** 2 * 0.3).view(size, dim))
        self.outside.weight.data.zero_()

    def forward(self, center, context, negative):
        v = self.inside(center)
        positive = F.logsigmoid(torch.sum(v * self.outside(context), dim=1))
        noise = torch.bmm(self.outside(negative).neg(), v.unsqueeze(2)).squeeze(2)
        return -(positive + F.logsigmoid(noise).sum(1)).mean()


model = SkipGram(len(vocabulary), 6)
optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
center, context = (torch.tensor(side) for side in zip(*pairs))
losses = []
for epoch in range(30):
    negative = (context.unsqueeze(1) + torch.tensor([[2 + epoch % 5, 4 + epoch % 3]])) % len(vocabulary)
    loss = model(center, context, negative)
    model.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
vectors = F.normalize(model.inside.weight.detach(), dim=1)
similarity = vectors @ vectors.t()
similarity.fill_diagonal_(-1.0)
values, indices = similarity.max(axis=1)
print(vocabulary[indices[word_to_ix["king"]].item()], values.shape)
print("%.3f" % losses[0])
