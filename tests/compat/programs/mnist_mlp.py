import numpy as np
import torch
from torch import nn, optim
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split

torch.manual_seed(42)
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
print(f"Using {device} device")


class Stripes(Dataset):
    """Images 8 x 8 with a bright row; the row is the class."""

    def __init__(self, n=400, transform=None):
        rng = np.random.RandomState(0)
        self.labels = rng.randint(0, 8, size=n)
        self.images = rng.rand(n, 8, 8).astype(np.float32) * 0.5
        self.images[np.arange(n), self.labels] += 0.5
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, idx):
        image, label = self.images[idx], int(self.labels[idx])
        if self.transform:
            image = self.transform(image)
        return image, label


data = Stripes(transform=lambda im: torch.from_numpy(im).unsqueeze(0))
train_set, test_set = random_split(data, [320, 80], generator=torch.Generator().manual_seed(1))
train_loader = DataLoader(train_set, batch_size=32, shuffle=True, drop_last=True)
test_loader = DataLoader(test_set, batch_size=64)
print(len(train_set), len(test_set), len(train_loader), len(test_loader))

model = nn.Sequential(
    nn.Flatten(),
    nn.Linear(64, 32),
    nn.ReLU(),
    nn.Dropout(p=0.1),
    nn.Linear(32, 8),
    nn.LogSoftmax(dim=1),
).to(device)
print(model)

criterion = nn.NLLLoss()
optimizer = optim.Adam(model.parameters(), lr=1e-2)
losses = []
for epoch in range(4):
    model.train()
    running_loss = 0.0
    for batch_idx, (images, labels) in enumerate(train_loader):
        images, labels = images.to(device), labels.to(device)
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item() * images.size(0)
        losses.append(loss.item())

model.eval()
correct = total = 0
with torch.no_grad():
    for images, labels in test_loader:
        images, labels = images.to(device, non_blocking=True), labels.to(device)
        _, predicted = torch.max(model(images).data, 1)
        total += labels.size(0)
        correct += (predicted == labels).sum().item()
print("tested", total, "images; better than chance:", correct / total > 0.5)

features, targets = next(iter(DataLoader(TensorDataset(torch.arange(6.0), torch.arange(6)), 4)))
print(features, targets)
