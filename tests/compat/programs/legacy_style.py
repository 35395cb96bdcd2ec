import torch
import torch.nn as nn
from torch.autograd import Variable

print(torch.is_tensor(torch.ones(1)), torch.is_tensor([1.0]), torch.cuda.device_count())
print(torch.__version__ != "", torch.version.cuda is None or True)
torch.set_printoptions(precision=4)
use_cuda = torch.cuda.is_available() and False
dtype = torch.FloatTensor

N, D_in, H, D_out = 16, 10, 20, 3
x = Variable(torch.sin(torch.arange(0, N * D_in).type(dtype)).view(N, D_in))
y = Variable(torch.cos(torch.arange(0, N * D_out).type(dtype)).view(N, D_out), requires_grad=False)
w1 = Variable(torch.linspace(-1, 1, D_in * H).type(dtype).view(D_in, H), requires_grad=True)
w2 = Variable(torch.linspace(-1, 1, H * D_out).type(dtype).view(H, D_out), requires_grad=True)

learning_rate = 1e-4
losses = []
for t in range(30):
    y_pred = x.mm(w1).clamp(min=0).mm(w2)
    loss = (y_pred - y).pow(2).sum()
    losses.append(loss.data.item())
    loss.backward()
    w1.data -= learning_rate * w1.grad.data
    w2.data -= learning_rate * w2.grad.data
    w1.grad.data.zero_()
    w2.grad.data.zero_()
print("%.3f" % losses[-1])

model = torch.nn.Sequential(
    torch.nn.Linear(D_in, H), torch.nn.ReLU(), torch.nn.Linear(H, D_out)
)
loss_fn = torch.nn.MSELoss(reduction="sum")
with torch.set_grad_enabled(False):
    for p in model.parameters():
        p.copy_(torch.linspace(-0.2, 0.2, p.nelement()).view(p.size()))
for t in range(10):
    loss = loss_fn(model(x), y)
    model.zero_grad()
    loss.backward()
    with torch.no_grad():
        for param in model.parameters():
            param -= 1e-3 * param.grad
print("%.3f" % loss)

print(torch.Tensor(2, 3).shape, torch.Tensor([1, 2]).dtype, torch.LongTensor([1, 2]).dtype)
print(torch.Tensor([1.5]).type(), x.type(), torch.LongTensor([3]).type())
print(x.new(2, 2).shape, x.new_tensor([1, 2]).dtype, x.new_full((2,), 3.0))
print(torch.from_numpy(x.numpy()).equal(x), x.cpu().numpy().dtype, x.is_cuda)
print(isinstance(x, torch.FloatTensor), isinstance(w1, Variable), isinstance(x, torch.Tensor))
print(torch.typename(x) in ("torch.FloatTensor", "backlit.FloatTensor"))
print(x.size(0), x.dim(), x.nelement(), x.stride(), len(x), x.element_size())
with torch.inference_mode():
    print(model(x).requires_grad)
with torch.autograd.set_detect_anomaly(False):
    print(torch.is_grad_enabled())
print(torch.finfo(torch.float32).eps, torch.iinfo(torch.int8).max)
