"""Which operators `bl.autocast` runs in 16 bits, and which in float32; others take what comes.

Products are where the time goes, and they add up in float32 and round once. Exponentials over
rows and losses keep float32, as small differences decide there. Normalizations need no entry:
their statistics are float32 whatever their input is. After PyTorch's lists for the CPU.
"""

from __future__ import annotations

from backlit.ops.op import REGISTRY

LOW = (
    "matmul", "linear", "conv", "conv_grad_input", "attention", "lstm", "gru", "rnn",
    "addmm", "addmv", "addbmm", "baddbmm", "multi_dot", "bilinear", "einsum", "tensordot",
    "scaled_dot_product_attention", "multi_head_attention_forward",
)  # fmt: skip
FLOAT32 = (
    "softmax", "log_softmax", "softmin", "logsumexp", "gumbel_softmax", "prod", "quantile",
    "nanquantile", "cdist", "pdist", "p_norm", "norm", "cosine_similarity", "pairwise_distance",
    "dist", "renorm", "trace", "grid_sample", "nll_loss", "cross_entropy", "mse_loss", "l1_loss",
    "huber_loss", "smooth_l1_loss", "kl_div", "poisson_nll_loss", "gaussian_nll_loss",
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "soft_margin_loss",
    "multilabel_soft_margin_loss", "hinge_embedding_loss", "margin_ranking_loss",
    "multi_margin_loss", "multilabel_margin_loss", "cosine_embedding_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss", "ctc_loss", "inv", "det", "slogdet", "logdet", "solve",
    "solve_triangular", "cholesky", "cholesky_solve", "cholesky_inverse", "matrix_exp", "qr",
    "svd", "eigh", "pinv", "matrix_rank", "lstsq", "matrix_norm", "cond",
)  # fmt: skip

for _name in LOW:
    REGISTRY[_name].precision = "low"
for _name in FLOAT32:
    REGISTRY[_name].precision = "float32"
