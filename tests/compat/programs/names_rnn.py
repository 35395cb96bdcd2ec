"""Names classified by a recurrent network from linear layers, letter by letter."""
import string

import torch
import torch.nn as nn

names = {"a": ["anna", "alba", "lana", "maya"], "o": ["marco", "pablo", "bruno", "otto"],
         "k": ["novak", "dvorak", "marek", "radek"]}
all_letters = string.ascii_letters + " .,;'"
n_letters, categories = len(all_letters), list(names)


def lineToTensor(line):
    tensor = torch.zeros(len(line), 1, n_letters)
    for li, letter in enumerate(line):
        tensor[li][0][all_letters.find(letter)] = 1
    return tensor


class RNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super(RNN, self).__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size + hidden_size, hidden_size)
        self.h2o = nn.Linear(hidden_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, input, hidden):
        hidden = torch.tanh(self.i2h(torch.cat((input, hidden), 1)))
        return self.softmax(self.h2o(hidden)), hidden

    def initHidden(self):
        return torch.zeros(1, self.hidden_size)


rnn = RNN(n_letters, 16, 3)
for p in rnn.parameters():
    p.data.copy_(torch.sin(torch.arange(p.numel()) ** 2 * 0.37).view_as(p) * 0.2)
criterion, learning_rate, losses = nn.NLLLoss(), 0.1, []


def train(category, line):
    hidden = rnn.initHidden()
    rnn.zero_grad()
    for letter in lineToTensor(line):
        output, hidden = rnn(letter, hidden)
    loss = criterion(output, torch.tensor([categories.index(category)]))
    loss.backward()
    for p in rnn.parameters():
        p.data.add_(p.grad.data, alpha=-learning_rate)
    return output, loss.item()


for step in range(60):
    category = categories[step % 3]
    output, loss = train(category, names[category][step // 3 % 4])
    losses.append(loss)
top_n, top_i = output.data.topk(1)
print(categories[top_i[0].item()], lineToTensor("Jones").size())
print("%.3f" % losses[0])
