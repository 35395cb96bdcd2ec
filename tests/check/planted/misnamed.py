"""Planted errors that the doctor detects but explains by another cause than the right one.

At most one in twenty; whoever makes the doctor better takes lines away. What it says instead is
printed by `benchmarks/doctor.py --misses`.
"""

MISNAMED: frozenset[str] = frozenset(
    [
        "add, max and multiply, 4: mask_not_reused",
        "batch normalization with modes, 2: wrong_axis",
        "clip, 2: wrong_saved_value",
        "convolution, relu and pooling, 0: index_error",
        "dropout without a seed, 1: mask_not_reused",
        "echo, in a list, 2: index_error",
        "elu, 0: mask_not_reused",
        "gather rows with a loop, 1: index_error",
        "huber, 0: mask_not_reused",
        "lasso, 0: missing_regularization",
        "linear softmax classifier, 1: sign",
        "max pooling with loops, 0: index_error",
        "means of groups, 0: missing_factor",
        "moving average, 4: index_error",
        "multiply by a column, 2: wrong_axis",
        "relu, 4: wrong_saved_value",
        "running sum with decay, 3: index_error",
        "running sum, 1: wrong_axis",
        "running sum, 3: detached_path",
        "svm loss, 2: index_error",
        "torch: Softmax, 0: lost_accumulation",
    ]
)
