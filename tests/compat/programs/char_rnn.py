import torch
import torch.nn as nn

text = "the quick brown fox jumps over the lazy dog. " * 6
chars = sorted(set(text))
stoi = {ch: i for i, ch in enumerate(chars)}
encoded = torch.tensor([stoi[c] for c in text], dtype=torch.long)


class CharRNN(nn.Module):
    def __init__(self, vocab, embed=8, hidden=24, layers=1):
        super().__init__()
        self.hidden, self.layers = hidden, layers
        self.embed = nn.Embedding(vocab, embed)
        self.rnn = nn.GRU(embed, hidden, layers, batch_first=True)
        self.fc = nn.Linear(hidden, vocab)

    def forward(self, x, h):
        out, h = self.rnn(self.embed(x), h)
        return self.fc(out), h

    def init_hidden(self, batch):
        weight = next(self.parameters())
        return weight.new_zeros(self.layers, batch, self.hidden)


model = CharRNN(len(chars))
with torch.no_grad():
    for k, p in enumerate(model.parameters()):
        p.copy_(torch.sin(torch.arange(p.numel()) * 1.7 + k).view(p.shape) * 0.3)

batch, seq = 4, 10
stream = encoded[: len(encoded) // batch * batch].view(batch, -1)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.RMSprop(model.parameters(), lr=0.01)
losses = []
for epoch in range(3):
    hidden = model.init_hidden(batch)
    for i in range(0, stream.size(1) - seq - 1, seq):
        inputs = stream[:, i : i + seq]
        targets = stream[:, i + 1 : i + 1 + seq]
        hidden = hidden.detach()
        output, hidden = model(inputs, hidden)
        loss = criterion(output.reshape(-1, output.size(-1)), targets.reshape(-1))
        model.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        losses.append(loss.item())
    print("epoch %d loss %.3f" % (epoch, loss.item()))

model.eval()
with torch.no_grad():
    hidden = model.init_hidden(1)
    x = torch.tensor([[stoi["t"]]])
    out = ["t"]
    for _ in range(12):
        logits, hidden = model(x, hidden)
        top = torch.softmax(logits[0, -1], dim=-1).argmax()
        out.append(chars[top.item()])
        x = top.view(1, 1)
print(repr("".join(out)))

cell = nn.LSTMCell(8, 5)
with torch.no_grad():
    for p in cell.parameters():
        p.fill_(0.1)
hx, cx = torch.zeros(2, 5), torch.zeros(2, 5)
outputs = []
for t in range(4):
    hx, cx = cell(torch.full((2, 8), t / 4), (hx, cx))
    outputs.append(hx)
print(torch.stack(outputs, dim=1).shape, round(hx.sum().item(), 4))
