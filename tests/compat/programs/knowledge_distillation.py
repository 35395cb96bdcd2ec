"""A small student learns a frozen teacher's soft answers and the labels."""
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset


def network(*sizes):
    layers = []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    for p in net.parameters():
        p.data.copy_(torch.sin(torch.arange(p.numel()) ** 2 * 0.37).view_as(p) * 0.5)
    return net


x = torch.sin(torch.arange(80 * 6, dtype=torch.float32) ** 2 * 0.017).view(80, 6)
y = (x[:, 0] + x[:, 1] > 0).long() + (x[:, 2] > 0.3).long()
loader = DataLoader(TensorDataset(x, y), batch_size=20)
teacher, student = network(6, 32, 3), network(6, 5, 3)

optimizer = optim.Adam(teacher.parameters(), lr=0.02)
for _ in range(10):
    for inputs, labels in loader:
        optimizer.zero_grad()
        F.cross_entropy(teacher(inputs), labels, label_smoothing=0.05).backward()
        optimizer.step()
teacher.eval()
for p in teacher.parameters():
    p.requires_grad = False


def distillation_loss(student_logits, teacher_logits, labels, T=3.0, alpha=0.7):
    soft = nn.KLDivLoss(reduction="batchmean")(
        F.log_softmax(student_logits / T, dim=1), F.softmax(teacher_logits / T, dim=1)) * (T * T)
    return alpha * soft + (1.0 - alpha) * F.cross_entropy(student_logits, labels)


optimizer = optim.RMSprop(filter(lambda p: p.requires_grad, student.parameters()), lr=0.01)
scheduler = optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.95)
losses = []
for epoch in range(8):
    for inputs, labels in loader:
        with torch.no_grad():
            targets = teacher(inputs)
        loss = distillation_loss(student(inputs), targets, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()
print("lr %.4f" % scheduler.get_last_lr()[0], len(losses))
print(all(p.grad is not None for p in student.parameters()),
      any(p.requires_grad for p in teacher.parameters()))
