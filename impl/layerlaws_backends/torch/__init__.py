"""PyTorch, as one would write it today: fused kernels where they exist. One module per note, any device.

`layerlaws_backends.torch.cpu` and `.cuda` say how arrays reach the device; the functions here are the same.
"""
