"""Model families, one per file, each readable alone.

Networks that learn features: perceptron, svm, mlp, lenet, vgg, resnet, preresnet, densenet,
unet, c3d, autoencoder, vae, siamese. Networks that learn sequences: recurrent, cells,
attention, gpt; vit reads an image as one.
"""

from __future__ import annotations

from backlit.models.attention import AttentionClassifier as AttentionClassifier
from backlit.models.autoencoder import Autoencoder as Autoencoder
from backlit.models.autoencoder import ConvAutoencoder as ConvAutoencoder
from backlit.models.c3d import C3D as C3D
from backlit.models.cells import CellClassifier as CellClassifier
from backlit.models.densenet import DenseNet as DenseNet
from backlit.models.densenet_imagenet import ImageNetDenseNet as ImageNetDenseNet
from backlit.models.densenet_imagenet import densenet121 as densenet121
from backlit.models.densenet_imagenet import densenet161 as densenet161
from backlit.models.densenet_imagenet import densenet169 as densenet169
from backlit.models.densenet_imagenet import densenet201 as densenet201
from backlit.models.gpt import GPT as GPT
from backlit.models.lenet import LeNet as LeNet
from backlit.models.lenet import LeNet5 as LeNet5
from backlit.models.mlp import MLP as MLP
from backlit.models.perceptron import Perceptron as Perceptron
from backlit.models.perceptron import perceptron_loss as perceptron_loss
from backlit.models.preresnet import PreActResNet as PreActResNet
from backlit.models.recurrent import RowClassifier as RowClassifier
from backlit.models.recurrent import SequenceClassifier as SequenceClassifier
from backlit.models.resnet import ResNet as ResNet
from backlit.models.resnet import resnet20 as resnet20
from backlit.models.resnet import resnet32 as resnet32
from backlit.models.resnet import resnet44 as resnet44
from backlit.models.resnet import resnet56 as resnet56
from backlit.models.resnet import resnet110 as resnet110
from backlit.models.resnet_imagenet import ImageNetResNet as ImageNetResNet
from backlit.models.resnet_imagenet import resnet18 as resnet18
from backlit.models.resnet_imagenet import resnet34 as resnet34
from backlit.models.resnet_imagenet import resnet50 as resnet50
from backlit.models.resnet_imagenet import resnet101 as resnet101
from backlit.models.resnet_imagenet import resnet152 as resnet152
from backlit.models.siamese import Siamese as Siamese
from backlit.models.siamese import contrastive_loss as contrastive_loss
from backlit.models.svm import LinearSVM as LinearSVM
from backlit.models.svm import MulticlassSVM as MulticlassSVM
from backlit.models.svm import multiclass_hinge as multiclass_hinge
from backlit.models.unet import UNet as UNet
from backlit.models.vae import VAE as VAE
from backlit.models.vae import negative_elbo as negative_elbo
from backlit.models.vgg import VGG as VGG
from backlit.models.vgg import vgg11 as vgg11
from backlit.models.vgg import vgg13 as vgg13
from backlit.models.vgg import vgg16 as vgg16
from backlit.models.vgg import vgg19 as vgg19
from backlit.models.vit import VisionTransformer as VisionTransformer
