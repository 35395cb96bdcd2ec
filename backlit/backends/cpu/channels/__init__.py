"""Channels-last memory: how operands come to lie so, and what is done to a row of channels."""
