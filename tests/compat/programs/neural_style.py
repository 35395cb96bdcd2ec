"""An image is optimized so that its Gram matrices and contents fit those of two others."""
import copy

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


def image(seed):
    t = torch.arange(3 * 16 * 16, dtype=torch.float32)
    return (torch.sin(t ** 2 * seed) * 0.5 + 0.5).view(1, 3, 16, 16)


def gram_matrix(input):
    a, b, c, d = input.size()
    features = input.view(a * b, c * d)
    return torch.mm(features, features.t()).div(a * b * c * d)


class ContentLoss(nn.Module):
    def __init__(self, target):
        super(ContentLoss, self).__init__()
        self.target = target.detach()

    def forward(self, input):
        self.loss = F.mse_loss(input, self.target)
        return input


class StyleLoss(nn.Module):
    def __init__(self, target_feature):
        super(StyleLoss, self).__init__()
        self.target = gram_matrix(target_feature).detach()

    def forward(self, input):
        self.loss = F.mse_loss(gram_matrix(input), self.target)
        return input


class Normalization(nn.Module):
    def __init__(self, mean, std):
        super(Normalization, self).__init__()
        self.mean = torch.tensor(mean).view(-1, 1, 1)
        self.std = torch.tensor(std).view(-1, 1, 1)

    def forward(self, img):
        return (img - self.mean) / self.std


cnn = nn.Sequential(nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2),
                    nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(inplace=True)).eval()
for p in cnn.parameters():
    p.data.copy_(torch.sin(torch.arange(p.numel()) ** 2 * 0.37).view_as(p) * 0.3)
cnn = copy.deepcopy(cnn)
content, style = image(0.011), image(0.0173)
model, style_losses, content_losses, i = nn.Sequential(), [], [], 0
model.add_module("normalization", Normalization([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
for layer in cnn.children():
    if isinstance(layer, nn.Conv2d):
        i += 1
        name = "conv_{}".format(i)
    elif isinstance(layer, nn.ReLU):
        name, layer = "relu_{}".format(i), nn.ReLU(inplace=False)
    else:
        name = "pool_{}".format(i)
    model.add_module(name, layer)
    if name == "conv_2":
        content_losses.append(ContentLoss(model(content)))
        model.add_module("content_loss_{}".format(i), content_losses[-1])
    if name.startswith("conv"):
        style_losses.append(StyleLoss(model(style)))
        model.add_module("style_loss_{}".format(i), style_losses[-1])
print([name for name, _ in model.named_children()])

seen = {}
handle = model.conv_1.register_forward_hook(lambda m, i, o: seen.update(shape=tuple(o.shape)))
input_img = content.clone().requires_grad_(True)
model.eval()
model.requires_grad_(False)
optimizer, losses = optim.LBFGS([input_img], lr=0.5), []
while len(losses) < 30:
    def closure():
        with torch.no_grad():
            input_img.clamp_(0, 1)
        optimizer.zero_grad()
        model(input_img)
        style_score = sum(sl.loss for sl in style_losses) * 1000
        content_score = sum(cl.loss for cl in content_losses)
        loss = style_score + content_score
        loss.backward()
        losses.append(loss.item())
        return loss
    optimizer.step(closure)
losses = losses[:8]
handle.remove()
print(seen, input_img.grad.shape)
