"""A word model with tied weights, truncated backpropagation and SGD by hand."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

text = ("the cat sat on the mat and the dog sat on the log while the cat saw the dog and "
        "the dog saw the cat on the mat ") * 6
words = text.split()
vocabulary = sorted(set(words))
ids = torch.LongTensor([vocabulary.index(w) for w in words])


def batchify(data, size):
    count = data.size(0) // size
    return data.narrow(0, 0, count * size).view(size, -1).t().contiguous()


class RNNModel(nn.Module):
    def __init__(self, ntoken, ninp, nhid, nlayers, tie_weights=False):
        super(RNNModel, self).__init__()
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = nn.LSTM(ninp, nhid, nlayers)
        self.decoder = nn.Linear(nhid, ntoken)
        if tie_weights:
            self.decoder.weight = self.encoder.weight
        self.nhid, self.nlayers, self.ntoken = nhid, nlayers, ntoken

    def forward(self, input, hidden):
        output, hidden = self.rnn(self.encoder(input), hidden)
        decoded = self.decoder(output).view(-1, self.ntoken)
        return F.log_softmax(decoded, dim=1), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        return (weight.new_zeros(self.nlayers, bsz, self.nhid),
                weight.new_zeros(self.nlayers, bsz, self.nhid))


def repackage_hidden(h):
    if isinstance(h, torch.Tensor):
        return h.detach()
    return tuple(repackage_hidden(v) for v in h)


model = RNNModel(len(vocabulary), 12, 12, 2, tie_weights=True)
for p in model.parameters():
    p.data = torch.sin(torch.arange(p.numel()).float() ** 2 * 0.37).view_as(p) * 0.4
print(len(list(model.parameters())), sum(p.nelement() for p in model.parameters()))

criterion, lr, bptt = nn.NLLLoss(), 4.0, 7
data, losses = batchify(ids, 4), []
for epoch in range(1, 13):
    hidden, total = model.init_hidden(4), 0.0
    model.train()
    for i in range(0, data.size(0) - 1, bptt):
        seq_len = min(bptt, len(data) - 1 - i)
        inputs, targets = data[i:i + seq_len], data[i + 1:i + 1 + seq_len].reshape(-1)
        model.zero_grad()
        hidden = repackage_hidden(hidden)
        output, hidden = model(inputs, hidden)
        loss = criterion(output, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        for p in model.parameters():
            p.data.add_(p.grad, alpha=-lr)
        total += loss.item() * len(inputs)
        losses.append(loss.item())
    print('| epoch {:3d} | lr {:02.2f} | loss {:5.2f} | ppl {:8.2f}'.format(
        epoch, lr, total / len(data), math.exp(total / len(data))))
