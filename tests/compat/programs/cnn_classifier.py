import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
torch.backends.cudnn.deterministic = True
torch.backends.cudnn.benchmark = False


class ConvNet(nn.Module):
    def __init__(self, num_classes=4):
        super().__init__()
        self.layer1 = nn.Sequential(
            nn.Conv2d(1, 8, kernel_size=5, stride=1, padding=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )
        self.layer2 = nn.Sequential(
            nn.Conv2d(8, 16, kernel_size=3, padding=1),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.MaxPool2d(2, 2),
        )
        self.drop_out = nn.Dropout2d(0.2)
        self.fc = nn.Linear(16 * 4 * 4, num_classes)

    def forward(self, x):
        out = self.layer1(x)
        out = self.layer2(out)
        out = self.drop_out(out)
        out = out.reshape(out.size(0), -1)
        return F.log_softmax(self.fc(out), dim=1)


def make(n):
    y = torch.arange(n) % 4
    x = torch.randn(n, 1, 16, 16) * 0.3
    for i in range(n):
        r, c = (y[i] // 2) * 8, (y[i] % 2) * 8
        x[i, :, r : r + 8, c : c + 8] += 1.0
    return TensorDataset(x, y)


def train(model, device, loader, optimizer, epoch):
    model.train()
    for data, target in loader:
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())


def test(model, device, loader):
    model.eval()
    test_loss, correct = 0, 0
    with torch.no_grad():
        for data, target in loader:
            output = model(data.to(device))
            test_loss += F.nll_loss(output, target, reduction="sum").item()
            pred = output.argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
    return test_loss / len(loader.dataset), correct / len(loader.dataset)


losses = []
device = torch.device("cpu")
model = ConvNet().to(device)
print(model)
train_loader = DataLoader(make(96), batch_size=16, shuffle=True, num_workers=0, pin_memory=False)
test_loader = DataLoader(make(32), batch_size=32)
optimizer = optim.Adadelta(model.parameters(), lr=0.5)
scheduler = StepLR(optimizer, step_size=1, gamma=0.7)
for epoch in range(1, 4):
    train(model, device, train_loader, optimizer, epoch)
    scheduler.step()
    print("epoch", epoch, "next lr", scheduler.get_last_lr(), optimizer.param_groups[0]["lr"])
loss, accuracy = test(model, device, test_loader)
print("good:", accuracy > 0.8, "steps:", len(losses), int(model.layer1[1].num_batches_tracked))
