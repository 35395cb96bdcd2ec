"""Reversing sequences: an encoder, a decoder with attention, teacher forcing."""
import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim

SOS_token, EOS_token, MAX_LENGTH = 0, 1, 6
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
random.seed(0)


class EncoderRNN(nn.Module):
    def __init__(self, input_size, hidden_size):
        super(EncoderRNN, self).__init__()
        self.hidden_size = hidden_size
        self.embedding = nn.Embedding(input_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size)

    def forward(self, input, hidden):
        embedded = self.embedding(input).view(1, 1, -1)
        return self.gru(embedded, hidden)

    def initHidden(self):
        return torch.zeros(1, 1, self.hidden_size, device=device)


class AttnDecoderRNN(nn.Module):
    def __init__(self, hidden_size, output_size, max_length=MAX_LENGTH):
        super(AttnDecoderRNN, self).__init__()
        self.embedding = nn.Embedding(output_size, hidden_size)
        self.attn = nn.Linear(hidden_size * 2, max_length)
        self.attn_combine = nn.Linear(hidden_size * 2, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size)
        self.out = nn.Linear(hidden_size, output_size)

    def forward(self, input, hidden, encoder_outputs):
        embedded = self.embedding(input).view(1, 1, -1)
        attn_weights = F.softmax(self.attn(torch.cat((embedded[0], hidden[0]), 1)), dim=1)
        attn_applied = torch.bmm(attn_weights.unsqueeze(0), encoder_outputs.unsqueeze(0))
        output = torch.cat((embedded[0], attn_applied[0]), 1)
        output = F.relu(self.attn_combine(output).unsqueeze(0))
        output, hidden = self.gru(output, hidden)
        return F.log_softmax(self.out(output[0]), dim=1), hidden, attn_weights


def train(source, target):
    hidden, length = encoder.initHidden(), source.size(0)
    encoder_optimizer.zero_grad()
    decoder_optimizer.zero_grad()
    encoder_outputs = torch.zeros(MAX_LENGTH, encoder.hidden_size, device=device)
    for ei in range(length):
        output, hidden = encoder(source[ei], hidden)
        encoder_outputs[ei] = output[0, 0]
    decoder_input = torch.tensor([[SOS_token]], device=device)
    loss, forced = 0, random.random() < 0.7
    for di in range(target.size(0)):
        output, hidden, attention = decoder(decoder_input, hidden, encoder_outputs)
        loss += criterion(output, target[di])
        if forced:
            decoder_input = target[di]
        else:
            topv, topi = output.topk(1)
            decoder_input = topi.squeeze().detach()
            if decoder_input.item() == EOS_token:
                break
    loss.backward()
    encoder_optimizer.step()
    decoder_optimizer.step()
    return loss.item() / target.size(0)


encoder, decoder = EncoderRNN(8, 16).to(device), AttnDecoderRNN(16, 8).to(device)
for p in [*encoder.parameters(), *decoder.parameters()]:
    p.data.copy_(torch.sin(torch.arange(p.numel()) ** 2 * 0.37).view_as(p) * 0.3)
encoder_optimizer = optim.SGD(encoder.parameters(), lr=0.1)
decoder_optimizer = optim.SGD(decoder.parameters(), lr=0.1)
criterion = nn.NLLLoss()
losses = []
for step in range(36):
    words = [2 + (step * k) % 6 for k in (1, 2, 3)]
    source = torch.tensor([*words, EOS_token], dtype=torch.long, device=device).view(-1, 1)
    target = torch.tensor([*words[::-1], EOS_token], dtype=torch.long, device=device).view(-1, 1)
    losses.append(train(source, target))
print(encoder)
print(sum(p.numel() for p in decoder.parameters()), "%.3f" % losses[0])
