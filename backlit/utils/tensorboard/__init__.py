"""Event files that TensorBoard shows, written without it: PyTorch's `SummaryWriter`."""

from backlit.utils.tensorboard.writer import SummaryWriter as SummaryWriter
