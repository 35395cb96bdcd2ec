import torch
import torch.nn as nn
import torch.nn.functional as F


class ContrastiveLoss(nn.Module):
    def __init__(self, margin=1.0):
        super().__init__()
        self.margin = margin

    def forward(self, output1, output2, label):
        distance = F.pairwise_distance(output1, output2, keepdim=True)
        return torch.mean(
            (1 - label) * torch.pow(distance, 2)
            + label * torch.pow(torch.clamp(self.margin - distance, min=0.0), 2)
        )


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.cnn = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(1, 4, kernel_size=3), nn.ReLU(inplace=True),
            nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d((4, 4)),
        )
        self.fc = nn.Sequential(nn.Linear(64, 16), nn.PReLU(), nn.Linear(16, 5))

    def forward_once(self, x):
        output = self.cnn(x)
        output = output.view(output.size()[0], -1)
        return self.fc(output)

    def forward(self, a, b):
        return self.forward_once(a), self.forward_once(b)


def fill(net):
    for i, p in enumerate(net.parameters()):
        if p.ndimension() == 1 and len(p) != 1:
            nn.init.constant_(p, 0.1)
        elif p.ndimension() > 1:
            p.data = torch.sin(torch.arange(p.nelement()).float() * 3.1 + i).view(p.size()) * 0.2


base = torch.linspace(0, 1, 64).view(1, 8, 8)
classes = torch.stack([torch.sin(base * f) for f in (3.0, 11.0, 23.0)])
left = classes[[0, 1, 2, 0, 1, 2]]
right = classes[[0, 1, 2, 1, 2, 0]] + 0.05
label = torch.FloatTensor([0, 0, 0, 1, 1, 1]).view(-1, 1)

net = SiameseNetwork()
fill(net)
criterion = ContrastiveLoss()
optimizer = torch.optim.Adam(net.parameters(), lr=0.005)
losses = []
for epoch in range(25):
    out1, out2 = net(left, right)
    optimizer.zero_grad()
    loss = criterion(out1, out2, label)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("contrastive %.4f -> %.4f" % (losses[0], losses[-1]))

anchor, positive, negative = out1.detach(), out2.detach(), out2.detach().flip(0)
triplet = nn.TripletMarginLoss(margin=1.0, p=2)
print("triplet %.4f" % triplet(anchor, positive, negative).item())
print("cosine %.4f" % F.cosine_similarity(out1, out2).mean().item())
target = torch.tensor([1, 1, 1, -1, -1, -1])
print("embedding %.4f" % nn.CosineEmbeddingLoss(margin=0.2)(out1, out2, target).item())
z = F.normalize(torch.cat([out1, out2]), dim=1)
similarity = z @ z.t() / 0.5
similarity.fill_diagonal_(float("-inf")) if not similarity.requires_grad else None
similarity = similarity.masked_fill(torch.eye(12, dtype=torch.bool), float("-inf"))
positives = torch.arange(12).roll(6)
print("nt-xent %.4f" % F.cross_entropy(similarity, positives).item())
print("distances", torch.cdist(out1, out2).shape)
