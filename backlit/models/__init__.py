"""Model families, one per file, each readable alone."""

from __future__ import annotations

from backlit.models.densenet import DenseNet as DenseNet
from backlit.models.lenet import LeNet as LeNet
from backlit.models.mlp import MLP as MLP
from backlit.models.recurrent import RowClassifier as RowClassifier
from backlit.models.resnet import ResNet as ResNet
from backlit.models.resnet import resnet20 as resnet20
from backlit.models.resnet import resnet32 as resnet32
from backlit.models.resnet import resnet44 as resnet44
from backlit.models.resnet import resnet56 as resnet56
from backlit.models.resnet import resnet110 as resnet110
from backlit.models.unet import UNet as UNet
from backlit.models.vit import VisionTransformer as VisionTransformer
