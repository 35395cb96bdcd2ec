"""The place where PyTorch programs look for helpers: `backlit.utils.data` is `backlit.data`."""

from backlit.utils import data
