import torch
import torch.nn as nn

x = torch.linspace(-1, 1, 50).unsqueeze(1)
y = 3 * x - 0.5 + 0.1 * torch.sin(20 * x)

model = nn.Linear(1, 1)
nn.init.constant_(model.weight, 0.2)
nn.init.zeros_(model.bias)
criterion = nn.MSELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.3)

losses = []
for epoch in range(40):
    pred = model(x)
    loss = criterion(pred, y)

    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

    losses.append(loss.item())
    if (epoch + 1) % 10 == 0:
        print(f"Epoch [{epoch + 1}/40], Loss: {loss.item():.4f}")

w, b = model.weight.item(), model.bias.item()
print("learned: y = {:.3f} x + {:.3f}".format(w, b))

# The same by hand: no modules, no optimizer.
w = torch.tensor([[0.2]], requires_grad=True)
b = torch.zeros(1, requires_grad=True)
for _ in range(40):
    loss = (x @ w + b - y).pow(2).mean()
    loss.backward()
    with torch.no_grad():
        w -= 0.3 * w.grad
        b -= 0.3 * b.grad
        w.grad.zero_()
        b.grad = None
print("by hand: y = {:.3f} x + {:.3f}".format(w.item(), b.item()))

# And in closed form.
design = torch.cat([x, torch.ones_like(x)], dim=1)
solution = torch.linalg.solve(design.T @ design, design.T @ y)
print("closed form:", solution.flatten().tolist())
