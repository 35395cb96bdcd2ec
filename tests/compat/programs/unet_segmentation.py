import torch
import torch.nn as nn
import torch.nn.functional as F


class DoubleConv(nn.Module):
    def __init__(self, in_channels, out_channels, mid_channels=None):
        super().__init__()
        if not mid_channels:
            mid_channels = out_channels
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, mid_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(mid_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class Up(nn.Module):
    def __init__(self, in_channels, out_channels, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = DoubleConv(in_channels + in_channels // 2, out_channels, in_channels // 2)
        else:
            self.up = nn.ConvTranspose2d(in_channels, in_channels // 2, kernel_size=2, stride=2)
            self.conv = DoubleConv(in_channels, out_channels)

    def forward(self, x1, x2):
        x1 = self.up(x1)
        diffY = x2.size()[2] - x1.size()[2]
        diffX = x2.size()[3] - x1.size()[3]
        x1 = F.pad(x1, [diffX // 2, diffX - diffX // 2, diffY // 2, diffY - diffY // 2])
        return self.conv(torch.cat([x2, x1], dim=1))


class UNet(nn.Module):
    def __init__(self, n_channels, n_classes, bilinear=False):
        super().__init__()
        self.inc = DoubleConv(n_channels, 4)
        self.down1 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(4, 8))
        self.down2 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(8, 16))
        self.up1, self.up2 = Up(16, 8, bilinear), Up(8, 4, bilinear)
        self.outc = nn.Conv2d(4, n_classes, kernel_size=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x = self.up1(self.down2(x2), x2)
        return self.outc(self.up2(x, x1))


def dice_loss(logits, target, smooth=1.0):
    probabilities = torch.sigmoid(logits)
    intersection = (probabilities * target).sum(dim=(1, 2, 3))
    union = probabilities.sum(dim=(1, 2, 3)) + target.sum(dim=(1, 2, 3))
    return 1 - ((2 * intersection + smooth) / (union + smooth)).mean()


rows, columns = torch.meshgrid(torch.arange(18), torch.arange(19), indexing="ij")
masks = torch.stack([((rows - r) ** 2 + (columns - 9) ** 2 < 25).float() for r in (6, 9, 12)])
images = (masks + 0.3 * torch.sin(rows * columns * 0.9)).unsqueeze(1)
masks = masks.unsqueeze(1)

losses = []
for bilinear in (False, True):
    model = UNet(1, 1, bilinear)
    for i, p in enumerate(model.parameters()):
        if p.dim() == 4:
            p.data = torch.cos(torch.arange(p.numel()) * 1.9 + i).view(p.shape) * 0.3
        elif p.numel() == 1:
            nn.init.zeros_(p)
    model.up1.up.bias.data.zero_() if not bilinear else None
    model.up2.up.bias.data.zero_() if not bilinear else None
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([2.0]))
    history = []
    for epoch in range(12):
        logits = model(images)
        loss = criterion(logits, masks) + dice_loss(logits, masks)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    print(logits.shape, "%.3f -> %.3f" % (history[0], history[-1]))
    losses = losses or history
prediction = (torch.sigmoid(logits) > 0.5).float()
iou = (prediction * masks).sum() / ((prediction + masks) > 0).sum().clamp(min=1)
print(prediction.unique().numel() <= 2, 0 <= iou.item() <= 1)
