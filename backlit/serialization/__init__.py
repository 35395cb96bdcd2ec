"""Files without pickle: `save` writes safetensors, `load` reads them and PyTorch's `.pt`.

Read save_load.py first; objects.py and archive.py are our own files, torch_files.py and
opcodes.py those of PyTorch.
"""

from typing import Any

from backlit.serialization.save_load import load as load, save as save


def __getattr__(name: str) -> Any:
    from backlit.absent import refuse

    raise refuse("serialization", name)
