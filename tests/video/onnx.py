# SPDX-License-Identifier: MIT
"""Writes a very small ONNX model: the means of the picture's channels, weighted for each class, plus a bias.

The few protobuf messages are written by hand, so that the test needs no package for it. Field numbers are those of
onnx.proto (ModelProto, GraphProto, NodeProto, TensorProto, ValueInfoProto).
"""
import struct

FLOAT = 1       # TensorProto.DataType
INT = 2         # AttributeProto.AttributeType


def _varint(number):
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def _number(field, value):
    return _varint(field << 3) + _varint(value)


def _message(field, *parts):
    content = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _tensor(name, shape, values):
    return _message(5, *[_number(1, size) for size in shape], _number(2, FLOAT), _message(8, name),
                    _message(9, struct.pack(f"<{len(values)}f", *values)))


def _value(field, name, shape):
    sizes = [_message(1, _number(1, size)) for size in shape]
    return _message(field, _message(1, name), _message(2, _message(1, _number(1, FLOAT), _message(2, *sizes))))


def _node(kind, inputs, output, **attributes):
    return _message(1, *[_message(1, name) for name in inputs], _message(2, output), _message(3, output),
                    _message(4, kind), *[_message(5, _message(1, name), _number(3, value), _number(20, INT))
                                         for name, value in attributes.items()])


def mean_model(width, height, weights, biases):
    """Takes (1, channels, height, width), gives (1, classes): for each class its weights x the channels' means + bias."""
    classes, channels = len(weights), len(weights[0])
    graph = [_node("GlobalAveragePool", ["picture"], "mean"), _node("Flatten", ["mean"], "flat", axis=1),
             _node("Gemm", ["flat", "weights", "biases"], "scores", transB=1), _message(2, "mean"),
             _tensor("weights", [classes, channels], [weight for row in weights for weight in row]),
             _tensor("biases", [classes], biases),
             _value(11, "picture", [1, channels, height, width]), _value(12, "scores", [1, classes])]
    return _number(1, 7) + _message(7, *graph) + _message(8, _number(2, 11))
