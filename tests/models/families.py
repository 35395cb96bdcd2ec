"""One small instance of every model family, for all tests that go over the models.

`FAMILIES` maps a name to how it is made, the shape of a batch and the number of classes. A family
that is missing here fails test_models.py. A model that takes or gives something else than a batch
of floats and logits (N, classes) is `adapted` by hooks; the model itself stays what it is.
"""

from __future__ import annotations

from backlit import models, nn
from backlit.models.resnet_imagenet import BasicBlock, Bottleneck


def adapted(net, inputs=None, logits=None):
    """A net whose input is made from a batch of floats, and logits from what it gives."""
    if inputs is not None:
        net.register_forward_pre_hook(lambda module, arguments: inputs(arguments[0]))
    if logits is not None:
        net.register_forward_hook(lambda module, arguments, output: logits(output))
    return net


def two_sided(scores):
    """Logits (N, 2) of scores (N,) that are positive for the second class."""
    return scores.unsqueeze(1) * scores.new_tensor([-1.0, 1.0])


def tokens(x, vocabulary=7):
    """Floats to whole numbers below the size of a vocabulary."""
    return ((x.abs() * 10).long() % vocabulary,)


def he(net, kind=nn.Linear):
    """Layers drawn for their size: VGG's own start is for 4096 units, products must not shrink."""
    for module in net.modules():
        if isinstance(module, kind):
            nn.init.kaiming_normal_(module.weight)
    return net


def pair_branch(library=nn):
    """The branch of a small Siamese network."""
    linear = library.Linear
    return library.Sequential(linear(6, 9), library.Tanh(), linear(9, 4))


VGG_BATCH = (4, 3, 32, 32)

FAMILIES = {
    "mlp": (lambda: models.MLP([12, 17, 3]), (9, 12), 3),
    "perceptron": (lambda: adapted(models.Perceptron(6), logits=two_sided), (9, 6), 2),
    "linear svm": (lambda: adapted(models.LinearSVM(6), logits=two_sided), (9, 6), 2),
    "svm": (lambda: models.MulticlassSVM([6, 8, 3]), (9, 6), 3),
    "lenet": (lambda: models.LeNet(3), (4, 1, 28, 28), 3),
    "lenet5": (lambda: models.LeNet5(3), (4, 1, 32, 32), 3),
    "vgg": (lambda: he(models.VGG(11, False, 3, 0.1, width=2, hidden=8)), VGG_BATCH, 3),
    "vgg bn": (lambda: he(models.VGG(11, True, 3, 0.1, width=2, hidden=8)), VGG_BATCH, 3),
    "resnet": (lambda: models.ResNet(1, 3, width=4), (8, 3, 8, 8), 3),
    "preresnet": (lambda: models.PreActResNet(8, False, 3, width=4), (8, 3, 8, 8), 3),
    "preresnet bottleneck": (lambda: models.PreActResNet(11, True, 3, 2), (8, 3, 8, 8), 3),
    "resnet basic": (
        lambda: models.ImageNetResNet(BasicBlock, [1, 1, 1, 1], 3, width=4),
        (8, 3, 32, 32),
        3,
    ),
    "resnet bottleneck": (
        lambda: models.ImageNetResNet(Bottleneck, [1, 1, 1, 1], 3, width=2),
        (8, 3, 32, 32),
        3,
    ),
    "densenet": (lambda: models.DenseNet(10, 4, dropout=0.1, classes=3), (8, 3, 8, 8), 3),
    "densenet plain": (
        lambda: models.DenseNet(10, 4, 1.0, 0.1, classes=3, bottleneck=False),
        (8, 3, 8, 8),
        3,
    ),
    "densenet add": (
        lambda: models.DenseNet(10, 4, 1.0, 0.1, classes=3, join="add"),
        (8, 3, 8, 8),
        3,
    ),
    "densenet mul": (
        lambda: he(models.DenseNet(10, 4, 1.0, 0.1, classes=3, join="mul"), nn.Conv2d),
        (8, 3, 8, 8),
        3,
    ),
    "densenet branch": (
        lambda: models.DenseNet(10, 4, dropout=0.1, classes=3, join="branch"),
        (8, 3, 8, 8),
        3,
    ),
    "densenet imagenet": (
        lambda: models.ImageNetDenseNet([1, 1, 1], 4, 6, 3, dropout=0.1),
        (8, 3, 32, 32),
        3,
    ),
    "unet": (lambda: models.UNet(3, 1, 4, 2), (2, 1, 16, 16), 3),
    "autoencoder": (lambda: models.Autoencoder([6, 9, 4]), (8, 6), 6),
    "conv autoencoder": (
        lambda: adapted(models.ConvAutoencoder(8, 1, 3, 5), logits=lambda y: y.flatten(1)),
        (8, 1, 8, 8),
        64,
    ),
    "vae": (lambda: adapted(models.VAE(6, 9, 4), logits=lambda parts: parts[0]), (8, 6), 6),
    "siamese": (
        lambda: adapted(models.Siamese(pair_branch()), lambda x: (x[:, 0], x[:, 1]), two_sided),
        (8, 2, 6),
        2,
    ),
    "c3d": (
        lambda: models.C3D(3, 1, image=16, width=2, hidden=8, dropout=0.1),
        (4, 1, 16, 16, 16),
        3,
    ),
    "vit": (lambda: models.VisionTransformer(8, 4, 2, 8, 1, 2, 16, 3), (8, 2, 8, 8), 3),
    "gpt": (
        lambda: adapted(models.GPT(7, 5, 8, 1, 2, dropout=0.1), tokens, lambda y: y[:, -1]),
        (8, 5),
        7,
    ),
    "attention": (lambda: models.AttentionClassifier(4, 8, 2, 1, 3), (8, 5, 4), 3),
    "lstm": (lambda: models.RowClassifier("lstm", 4, 8, 2, 3), (8, 5, 4), 3),
    "gru": (lambda: models.RowClassifier("gru", 4, 9, 1, 3), (7, 5, 4), 3),
    "rnn": (lambda: models.RowClassifier("rnn", 4, 8, 1, 3), (8, 5, 4), 3),
    "sequence": (
        lambda: models.SequenceClassifier("gru", 4, 8, 2, 3, bidirectional=True),
        (8, 5, 4),
        3,
    ),
    "lstm cell": (lambda: models.CellClassifier("lstm", 4, 8, 3), (8, 5, 4), 3),
    "gru cell": (lambda: models.CellClassifier("gru", 4, 8, 3), (8, 5, 4), 3),
    "rnn cell": (lambda: models.CellClassifier("rnn", 4, 8, 3), (8, 5, 4), 3),
}
