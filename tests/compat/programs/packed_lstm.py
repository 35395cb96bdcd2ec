import torch
import torch.nn as nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader

# Does the sequence hold more ones than twos? Sentences of differing length.
sentences = [[(i * 7 + j * j) % 2 + 1 for j in range(3 + i % 6)] for i in range(32)]
labels = [int(s.count(1) > s.count(2)) for s in sentences]


def collate(batch):
    batch.sort(key=lambda pair: len(pair[0]), reverse=True)
    lengths = torch.tensor([len(s) for s, _ in batch])
    padded = pad_sequence([torch.tensor(s) for s, _ in batch], batch_first=True, padding_value=0)
    return padded, lengths, torch.tensor([y for _, y in batch], dtype=torch.float32)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(3, 4, padding_idx=0)
        self.lstm = nn.LSTM(4, 6, num_layers=2, batch_first=True, bidirectional=True)
        self.out = nn.Linear(12, 1)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(self.embedding(x), lengths, batch_first=True)
        packed_out, (h, c) = self.lstm(packed)
        output, sizes = pad_packed_sequence(packed_out, batch_first=True)
        assert output.size(1) == int(sizes.max())
        final = torch.cat((h[-2], h[-1]), dim=1)
        return self.out(final).squeeze(1), output


model = Classifier()
for i, p in enumerate(model.parameters()):
    p.data = (torch.arange(p.numel()).float() * 0.37 + i).cos().reshape(p.shape) * 0.5
model.embedding.weight.data[0] = 0

loader = DataLoader(list(zip(sentences, labels)), batch_size=8, collate_fn=collate)
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
losses = []
for epoch in range(8):
    total = 0.0
    for x, lengths, y in loader:
        optimizer.zero_grad()
        logits, states = model(x, lengths)
        loss = criterion(logits, y)
        loss.backward()
        optimizer.step()
        total += loss.item()
    losses.append(total / len(loader))
    print(f"{epoch} {losses[-1]:.3f} {tuple(states.shape)}")
print("padding row stays zero:", model.embedding.weight[0].abs().sum().item() == 0)

x, lengths, y = collate(list(zip(sentences[:5], labels[:5])))
packed = pack_padded_sequence(x.unsqueeze(-1).float(), lengths, batch_first=True)
print(packed.batch_sizes.tolist(), packed.data.shape)
mask = torch.arange(x.size(1))[None, :] < lengths[:, None]
print(mask.sum(1).tolist(), x[mask].shape)
