"""From a model to an ONNX file. Read export.py first, then lowering.py and the rules.

A model is captured as a Program, each instruction becomes ONNX nodes by a rule, and the graphs of
several sizes are merged into one where an axis is to stay open.
"""
