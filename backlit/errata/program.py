"""The printed NumPy program `Model(20, 20, 2)` (S1), run as it stands: E34 to E42.

The functions below are what the text prints, and the same lines mended. Where the text's line
fails, the error that NumPy raises is the verdict.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from backlit.errata.erratum import Erratum, Words
from backlit.errata.judge import Code, Experiment, HandWritten

rng = np.random.default_rng(7)
X = rng.normal(size=(3, 20))  # three samples in rows, as make_classification returns them
W1, B1 = rng.uniform(-0.22, 0.22, (20, 20)), np.zeros(20)
W2, B2 = rng.uniform(-0.22, 0.22, (2, 20)), np.zeros(2)
LABELS = np.array([1, 0, 1])
PROBABILITIES = np.array([[0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])


def sigmoid(z: np.ndarray) -> np.ndarray:
    """As the program defines it."""
    return 1 / (1 + np.exp(-z))


# ----- E34, E35: products and biases -----


def first_product():
    Z1 = np.dot(W1, X)
    return Z1.shape == (20, 3), f"Z1 has shape {Z1.shape}"


def first_product_mended():
    Z1 = np.dot(W1, X.T)
    return Z1.shape == (20, 3), f"Z1 has shape {Z1.shape}"


def first_bias():
    Z1 = np.dot(W1, X.T) + B1
    return Z1.shape == (20, 3), f"Z1 has shape {Z1.shape}"


def first_bias_mended():
    Z1 = np.dot(W1, X.T) + B1.reshape(-1, 1)
    return Z1.shape == (20, 3), f"Z1 has shape {Z1.shape}"


# ----- E36: names -----


class Model:
    """The program's two methods, as far as names go."""

    def forward(self, X):
        Z1 = np.dot(W1, X.T) + B1.reshape(-1, 1)
        A1 = sigmoid(Z1)
        return np.dot(W2, A1) + B2.reshape(-1, 1)

    def backward(self, dZ2):
        dW2 = np.dot(dZ2, A1.T)  # noqa: F821
        return dW2

    def forward_mended(self, X):
        Z1 = np.dot(W1, X.T) + B1.reshape(-1, 1)
        self.A1 = sigmoid(Z1)
        return np.dot(W2, self.A1) + B2.reshape(-1, 1)

    def backward_mended(self, dZ2):
        dW2 = np.dot(dZ2, self.A1.T)
        return dW2


def names_in_backward():
    model = Model()
    Z2 = model.forward(X)
    dW2 = model.backward(Z2)  # reads A1, which was local to forward
    return dW2.shape == W2.shape, f"dW2 has shape {dW2.shape}"


def names_in_backward_mended():
    model = Model()
    Z2 = model.forward_mended(X)
    dW2 = model.backward_mended(Z2)  # reads self.A1
    return dW2.shape == W2.shape, f"dW2 has shape {dW2.shape}"


# ----- E37: softmax and means in the column layout -----


def softmax_of_columns():
    Z = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]])  # 2 classes, 3 samples in columns
    Y = np.exp(Z) / np.sum(np.exp(Z), axis=1, keepdims=True)
    return np.allclose(Y.sum(axis=0), 1), f"the samples' probabilities sum to {Y.sum(axis=0)}"


def softmax_of_columns_mended():
    Z = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 3.0]])
    Y = np.exp(Z) / np.sum(np.exp(Z), axis=0, keepdims=True)
    return np.allclose(Y.sum(axis=0), 1), f"the samples' probabilities sum to {Y.sum(axis=0)}"


def softmax_of_large():
    Z = np.array([[1000.0], [0.0]])
    Y = np.exp(Z) / np.sum(np.exp(Z), axis=0, keepdims=True)
    return np.isfinite(Y).all(), f"softmax of (1000, 0) is {Y.ravel()}"


def softmax_of_large_mended():
    Z = np.array([[1000.0], [0.0]])
    E = np.exp(Z - Z.max(axis=0, keepdims=True))
    Y = E / np.sum(E, axis=0, keepdims=True)
    return np.isfinite(Y).all(), f"softmax of (1000, 0) is {Y.ravel()}"


def forward(X, W, b, T):
    Z = W @ X + b
    E = np.exp(Z - Z.max(axis=0, keepdims=True))
    Y = E / E.sum(axis=0, keepdims=True)
    N = X.shape[1]
    return -np.sum(T * np.log(Y)) / N, (X, Y, T)


def backward(dout, cache):
    X, Y, T = cache
    dZ = Y - T
    dW = 1 / X.shape[0] * np.dot(dZ, X.T)
    db = 1 / X.shape[0] * np.sum(dZ, axis=0)
    return {"W": dout * dW, "b": dout * db}


def backward_mended(dout, cache):
    X, Y, T = cache
    dZ = Y - T
    dW = 1 / X.shape[1] * np.dot(dZ, X.T)
    db = 1 / X.shape[1] * np.sum(dZ, axis=1, keepdims=True)
    return {"W": dout * dW, "b": dout * db}


COLUMNS: dict[str, Any] = {
    "X": rng.normal(size=(4, 3)), "W": rng.normal(size=(2, 4)), "b": np.zeros((2, 1)),
    "T": np.eye(2, dtype=int)[:, LABELS],
}  # fmt: skip


# ----- E38, E39: labels -----


def minus_labels():
    Y, T = PROBABILITIES, LABELS  # make_classification returns whole numbers
    dZ = Y - T
    return dZ.shape == Y.shape, f"Y - T has shape {dZ.shape}"


def minus_labels_mended():
    Y, T = PROBABILITIES, np.eye(2)[LABELS]
    dZ = Y - T
    return dZ.shape == Y.shape, f"Y - T has shape {dZ.shape}"


def loss_by_product():
    Y, T = PROBABILITIES, np.eye(2)[LABELS]
    loss = -1 / 3 * np.dot(T, np.log(Y).T)
    return np.ndim(loss) == 0, f"the loss has shape {np.shape(loss)}"


def loss_by_product_mended():
    Y, T = PROBABILITIES, np.eye(2)[LABELS]
    loss = -1 / 3 * np.sum(T * np.log(Y))
    direct = -np.log([0.8, 0.6, 0.7]).mean()
    return np.ndim(loss) == 0 and np.isclose(loss, direct), f"the loss is {loss:.6f}"


# ----- E40: the loss and its gradient -----


def binary_forward(Z, T):
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    Y = E / E.sum(axis=1, keepdims=True)
    loss = -np.sum(T * np.log(Y) + (1 - T) * np.log(1 - Y)) / len(Z)
    return loss, (Y, T)


def cross_entropy_forward(Z, T):
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    Y = E / E.sum(axis=1, keepdims=True)
    loss = -np.sum(T * np.log(Y)) / len(Z)
    return loss, (Y, T)


def output_backward(dout, cache):
    Y, T = cache
    return {"Z": dout * (Y - T) / len(Y)}


def logits(classes: int) -> dict[str, Any]:
    """Three samples of that many classes."""
    draw = np.random.default_rng(8)
    return {"Z": draw.normal(size=(3, classes)), "T": np.eye(classes, dtype=int)[[1, 0, 1]]}


def _moved_loss(Z: np.ndarray, T: np.ndarray, step: np.ndarray, t: float) -> float:
    return float(binary_forward(Z + t * step, T)[0])


def ratio_of_gradients(says: float) -> tuple[bool, str]:
    """The slope of the printed loss over Y - T, where that is one number."""
    from backlit.check import slope

    found = []
    for classes in (2, 3):
        given = logits(classes)
        Z, T = given["Z"], given["T"]
        Y = np.exp(Z) / np.exp(Z).sum(1, keepdims=True)
        for place in ((0, 0), (1, 1), (2, 0)):
            step = np.zeros_like(Z)
            step[place] = 1.0
            true = slope(partial(_moved_loss, Z, T, step)).value
            found.append(true / ((Y - T)[place] / 3))
    told = (
        f"slope / (Y - T): for 2 classes {np.round(found[:3], 6)}, for 3 {np.round(found[3:], 3)}"
    )
    return bool(np.allclose(found, says, rtol=1e-6)), told


# ----- E41, E42: judging the result -----


def printed_accuracy():
    Y, T = PROBABILITIES, LABELS
    accuracy = np.mean((Y > 0.5) == T)
    return 0 <= accuracy <= 1, f"accuracy {accuracy}"


def printed_accuracy_mended():
    Y, T = PROBABILITIES, LABELS
    accuracy = np.mean(Y.argmax(axis=1) == T)
    return accuracy == 1.0, f"accuracy {accuracy} where every prediction is right"


def steps_of_accuracy(samples: int) -> tuple[bool, str]:
    """Whether so many test samples can show a rise of one per cent."""
    finest = 1 / samples
    return finest <= 0.01, f"{samples} test samples: accuracy moves in steps of {finest:.3f}"


def hidden_layers(says: int) -> tuple[bool, str]:
    """Hidden layers of the program: arrays of weights between input and output, less one."""
    arrays = [W1, W2]
    found = len(arrays) - 1
    return found == says, f"weights {[w.shape for w in arrays]}: {found} hidden layer"


def targets_are(kind: str) -> tuple[bool, str]:
    """Whether t = I(w = 1) is what a model says (a pseudo-label), or the label as given."""
    targets = (LABELS == 1).astype(int)
    hidden = sigmoid(np.dot(W1, X.T) + B1.reshape(-1, 1))
    said = (np.dot(W2, hidden) + B2.reshape(-1, 1)).argmax(axis=0)
    told = f"I(w = 1) gives {targets}, the labels are {LABELS}, the model says {said}"
    return np.array_equal(targets, said if kind == "pseudo" else LABELS), told


ERRATA = (
    Erratum(
        "E34", "S1", Words("The first product", "第一个矩阵乘法"),
        Words("Samples lie in rows: W1 · X does not fit. This is where the program stops first.",
              "样本按行排放，W1·X 形状不符；程序首先在此处出错。"),
        (Code(first_product),), (Code(first_product_mended),),
    ),
    Erratum(
        "E35", "S1", Words("The bias", "偏置的形状"),
        Words("With samples in columns the bias must be a column too.",
              "样本按列排放时，偏置也必须是列向量。"),
        (Code(first_bias),), (Code(first_bias_mended),),
    ),
    Erratum(
        "E36", "S1", Words("Values of the forward pass in backward", "反向传播用到的前向值"),
        Words("A1 and Z1 are local to forward; what backward needs must be kept.",
              "A1、Z1 只是 forward 的局部变量，反向所需的值必须缓存。"),
        (Code(names_in_backward, (Model.forward, Model.backward)),),
        (Code(names_in_backward_mended, (Model.forward_mended, Model.backward_mended)),),
    ),
    Erratum(
        "E37", "S1", Words("Axes of softmax and of means", "softmax 与求平均的轴"),
        Words("With samples in columns, softmax runs over axis 0 and the batch is axis 1: N is"
              " X.shape[1]. And the maximum is subtracted first.",
              "样本按列排放时，softmax 沿轴 0，批在轴 1，N 是 X.shape[1]；并应先减去最大值。"),
        (Code(softmax_of_columns), Code(softmax_of_large),
         HandWritten(forward, backward, COLUMNS)),
        (Code(softmax_of_columns_mended), Code(softmax_of_large_mended),
         HandWritten(forward, backward_mended, COLUMNS)),
    ),
    Erratum(
        "E38", "S1", Words("Labels as whole numbers", "整数标签"),
        Words("make_classification returns class numbers; Y - T needs one-hot rows.",
              "make_classification 返回类别编号；Y − T 需要 one-hot。"),
        (Code(minus_labels),), (Code(minus_labels_mended),),
    ),
    Erratum(
        "E39", "S1", Words("The loss as a matrix product", "用矩阵乘法写的损失"),
        Words("The product is N x N; only its diagonal is meant: sum element by element.",
              "矩阵积是 N×N，需要的只是对角线：应逐元素相乘再求和。"),
        (Code(loss_by_product),), (Code(loss_by_product_mended),),
    ),
    Erratum(
        "E40", "S1", Words("A loss and another loss's gradient", "损失与梯度不配套"),
        Words("The slope of binary cross-entropy behind softmax is 2 (Y - T) for two classes,"
              " and no multiple of Y - T for more. Y - T belongs to cross-entropy.",
              "softmax 后接二元交叉熵：两类时梯度为 2(Y−T)，三类以上与 Y−T 不成比例；"
              "Y−T 属于交叉熵。"),
        (HandWritten(binary_forward, output_backward, logits(2)),
         HandWritten(binary_forward, output_backward, logits(3)),
         Experiment("the slope is Y - T", ratio_of_gradients, (1.0,))),
        (HandWritten(cross_entropy_forward, output_backward, logits(2)),
         HandWritten(cross_entropy_forward, output_backward, logits(3))),
    ),
    Erratum(
        "E41", "S1", Words("Accuracy of three samples", "三个样本的精度"),
        Words("(3, 2) > 0.5 can't be compared with (3,): take the argmax. And three test samples do"
              " not show that accuracy rises.",
              "(3,2)>0.5 不能与 (3,) 比较，应取 argmax；三个测试样本也不足以说明精度上升。"),
        (Code(printed_accuracy), Experiment("three samples show a rise", steps_of_accuracy, (3,))),
        (Code(printed_accuracy_mended),
         Experiment("two hundred samples show a rise", steps_of_accuracy, (200,))),
    ),
    Erratum(
        "E42", "S1", Words("Pseudo-labels, single layer", "伪标签与“单层”网络"),
        Words("I(w = 1) of given labels is the plain label, whatever the model says; and the"
              " network has one hidden layer.",
              "对给定标签取 I(ω=1) 仍是普通标签，与模型无关；该网络有一个隐藏层。"),
        (Experiment("the targets are pseudo-labels, made by the model", targets_are,
                    ("pseudo",)),
         Experiment("the network has a single layer, none hidden", hidden_layers, (0,))),
        (Experiment("the targets are plain labels", targets_are, ("plain",)),
         Experiment("the network has one hidden layer", hidden_layers, (1,))),
    ),
)  # fmt: skip
