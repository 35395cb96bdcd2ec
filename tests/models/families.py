"""One small instance of every model family, for all tests that go over the models.

`FAMILIES` maps a name to how it is made, the shape of a batch and the number of classes. A family
that is missing here fails test_models.py.
"""

from __future__ import annotations

from backlit import models

FAMILIES = {
    "mlp": (lambda: models.MLP([12, 17, 3]), (9, 12), 3),
    "lenet": (lambda: models.LeNet(3), (4, 1, 28, 28), 3),
    "resnet": (lambda: models.ResNet(1, 3, width=4), (8, 3, 8, 8), 3),
    "densenet": (lambda: models.DenseNet(10, 4, dropout=0.1, classes=3), (8, 3, 8, 8), 3),
    "unet": (lambda: models.UNet(3, 1, 4, 2), (2, 1, 16, 16), 3),
    "vit": (lambda: models.VisionTransformer(8, 4, 2, 8, 1, 2, 16, 3), (8, 2, 8, 8), 3),
    "lstm": (lambda: models.RowClassifier("lstm", 4, 8, 2, 3), (8, 5, 4), 3),
    "gru": (lambda: models.RowClassifier("gru", 4, 9, 1, 3), (7, 5, 4), 3),
    "rnn": (lambda: models.RowClassifier("rnn", 4, 8, 1, 3), (8, 5, 4), 3),
}
