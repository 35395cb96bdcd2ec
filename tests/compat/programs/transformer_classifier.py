import math

import torch
import torch.nn as nn


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=64):
        super().__init__()
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(1, max_len, d_model)
        pe[0, :, 0::2] = torch.sin(position * div_term)
        pe[0, :, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe)

    def forward(self, x):
        return x + self.pe[:, : x.size(1)]


class Classifier(nn.Module):
    def __init__(self, vocab=12, d_model=16, classes=3):
        super().__init__()
        self.d_model = d_model
        self.embed = nn.Embedding(vocab, d_model, padding_idx=0)
        self.pos = PositionalEncoding(d_model)
        layer = nn.TransformerEncoderLayer(
            d_model=d_model, nhead=4, dim_feedforward=32, dropout=0.0, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers=2)
        self.fc = nn.Linear(d_model, classes)

    def forward(self, tokens):
        pad = tokens == 0
        x = self.pos(self.embed(tokens) * math.sqrt(self.d_model))
        x = self.encoder(x, src_key_padding_mask=pad)
        x = x.masked_fill(pad.unsqueeze(-1), 0.0).sum(1) / (~pad).sum(1, keepdim=True)
        return self.fc(x)


tokens = (torch.arange(24 * 7).view(24, 7) * 5) % 11 + 1
tokens[::3, 5:] = 0
labels = tokens[:, 0] % 3

model = Classifier()
with torch.no_grad():
    for k, (name, p) in enumerate(model.named_parameters()):
        if p.dim() > 1:
            p.copy_(torch.cos(torch.arange(p.numel()) * 2.3 + k).view_as(p) / p.size(1) ** 0.5)
        elif name.endswith("bias"):
            p.zero_()
    model.embed.weight[0].zero_()

criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 5))
losses = []
for step in range(20):
    model.train()
    optimizer.zero_grad()
    loss = criterion(model(tokens), labels)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
    optimizer.step()
    warmup.step()
    losses.append(loss.item())
print(f"{losses[0]:.3f} -> {losses[-1]:.3f}")
model.eval()
with torch.no_grad():
    logits = model(tokens)
print(logits.shape, (logits.argmax(-1) == labels).float().mean().item() > 0.3)
print(list(model.state_dict())[:5], model.pos.pe.shape)
mask = nn.Transformer.generate_square_subsequent_mask(4)
print(mask.tolist())
attention = nn.MultiheadAttention(16, 4, batch_first=True)
nn.init.eye_(attention.out_proj.weight)
out, weights = attention(logits.new_ones(2, 5, 16), torch.ones(2, 3, 16), torch.ones(2, 3, 16))
print(out.shape, weights.shape, torch.allclose(weights, torch.full_like(weights, 1 / 3)))
