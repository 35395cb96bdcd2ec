"""REINFORCE with a baseline on a corridor: the policy learns to walk to the right."""
from collections import namedtuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.distributions import Categorical

torch.manual_seed(4)
SavedAction = namedtuple("SavedAction", ["log_prob", "value"])


class Corridor:
    def reset(self):
        self.place, self.time = 3, 0
        return self.state()

    def state(self):
        return np.eye(7, dtype=np.float32)[self.place]

    def step(self, action):
        self.place = min(6, max(0, self.place + (1 if action == 1 else -1)))
        self.time += 1
        return self.state(), float(self.place == 6), self.place == 6 or self.time == 10, {}


class Policy(nn.Module):
    def __init__(self):
        super(Policy, self).__init__()
        self.affine1 = nn.Linear(7, 16)
        self.action_head = nn.Linear(16, 2)
        self.value_head = nn.Linear(16, 1)
        self.saved_actions, self.rewards = [], []

    def forward(self, x):
        x = F.relu(self.affine1(x))
        return F.softmax(self.action_head(x), dim=-1), self.value_head(x)


model, env = Policy(), Corridor()
optimizer = optim.Adam(model.parameters(), lr=3e-2)
eps = np.finfo(np.float32).eps.item()


def select_action(state):
    probs, value = model(torch.from_numpy(state).float())
    m = Categorical(probs)
    action = m.sample()
    model.saved_actions.append(SavedAction(m.log_prob(action), value))
    return action.item()


def finish_episode(gamma=0.9):
    R, returns, policy_losses, value_losses = 0, [], [], []
    for r in model.rewards[::-1]:
        R = r + gamma * R
        returns.insert(0, R)
    for (log_prob, value), R in zip(model.saved_actions, torch.tensor(returns)):
        policy_losses.append(-log_prob * (R - value.item()))
        value_losses.append(F.smooth_l1_loss(value, torch.tensor([R])))
    optimizer.zero_grad()
    loss = torch.stack(policy_losses).sum() + torch.stack(value_losses).sum()
    loss.backward()
    optimizer.step()
    del model.rewards[:]
    del model.saved_actions[:]


losses = []  # steps until the end
for episode in range(75):
    state, done = env.reset(), False
    while not done:
        state, reward, done, _ = env.step(select_action(state))
        model.rewards.append(reward)
    losses.append(float(env.time))
    finish_episode()
with torch.no_grad():
    greedy = [model(torch.from_numpy(s))[0].argmax().item() for s in np.eye(7, dtype=np.float32)]
print(greedy[3:6])
print(model)
