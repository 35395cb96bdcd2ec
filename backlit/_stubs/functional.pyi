"""Written by tools/stubs.py from the operator registry; a test keeps it fresh."""

from typing import Any

from backlit.tensor import Tensor

def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """The mean over windows that give sequences (N, C, L) a size; None keeps one."""

def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """The mean over windows that give images (N, C, H, W) a size; None keeps one."""

def adaptive_avg_pool3d(input: Any, output_size: Any) -> Any:
    """The mean over windows that give volumes (N, C, D, H, W) a size; None keeps one."""

def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: Any = False) -> Any:
    """The largest value of windows that give sequences (N, C, L) a size; None keeps one."""

def adaptive_max_pool1d_with_indices(input: Any, output_size: Any, return_indices: Any = True) -> Any:
    """`adaptive_max_pool1d` and the places of the largest values."""

def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: Any = False) -> Any:
    """The largest value of windows that give images (N, C, H, W) a size; None keeps one."""

def adaptive_max_pool2d_with_indices(input: Any, output_size: Any, return_indices: Any = True) -> Any:
    """`adaptive_max_pool2d` and the places of the largest values."""

def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: Any = False) -> Any:
    """The largest value of windows that give volumes (N, C, D, H, W) a size; None keeps one."""

def adaptive_max_pool3d_with_indices(input: Any, output_size: Any, return_indices: Any = True) -> Any:
    """`adaptive_max_pool3d` and the places of the largest values."""

def affine_grid(theta: Any, size: Any, align_corners: Any = None) -> Tensor:
    """The grid of an affine map for `grid_sample`: theta (N, 2, 3) or (N, 3, 4)."""

def alpha_dropout(input: Any, p: Any = 0.5, training: Any = False, inplace: Any = False) -> Any:
    """Dropout for SELU networks: dropped elements take its negative limit, mean and variance stay."""

def avg_pool1d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: Any = False, count_include_pad: Any = True, divisor_override: Any = None) -> Any:
    """The mean of each window of sequences (N, C, L) or (C, L)."""

def avg_pool2d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: Any = False, count_include_pad: Any = True, divisor_override: Any = None) -> Any:
    """The mean of each window of images (N, C, H, W) or (C, H, W)."""

def avg_pool3d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: Any = False, count_include_pad: Any = True, divisor_override: Any = None) -> Any:
    """The mean of each window of volumes (N, C, D, H, W) or (C, D, H, W)."""

def batch_norm(input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None, training: Any = False, momentum: Any = 0.1, eps: Any = 1e-05) -> Any:
    """(x - mean) / sqrt(var + eps) per channel, over the batch and space, times w plus b."""

def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Tensor:
    """x1ᵀ W x2 + b: for each output feature one matrix between two inputs (..., in1), (..., in2)."""

def binary_cross_entropy(input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean') -> Tensor:
    """Cross-entropy between probabilities and targets in [0, 1]."""

def binary_cross_entropy_with_logits(input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean', pos_weight: Any = None) -> Tensor:
    """Cross-entropy between sigmoid(input) and targets in [0, 1], stable for any logits."""

def celu(input: Any, alpha: Any = 1.0, inplace: Any = False) -> Tensor:
    """x where it is positive, alpha (e^(x / alpha) - 1) elsewhere: smooth for every alpha."""

def celu_(input: Any, *args: Any, **keywords: Any) -> Tensor:
    """`celu`, in place."""

def channel_shuffle(input: Any, groups: Any) -> Tensor:
    """Channels (axis 1) dealt out from `groups` groups in turn. Source: Zhang et al. (2018)."""

def conv1d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: Any = 1) -> Any:
    """One-dimensional convolution (cross-correlation) of sequences."""

def conv2d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: Any = 1) -> Any:
    """Two-dimensional convolution (cross-correlation) of images."""

def conv3d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: Any = 1) -> Any:
    """Three-dimensional convolution (cross-correlation) of volumes."""

def conv_transpose1d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: Any = 1, dilation: Any = 1) -> Any:
    """Transposed convolution of sequences: the gradient of `conv1d` by its input."""

def conv_transpose2d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: Any = 1, dilation: Any = 1) -> Any:
    """Transposed convolution of images: the gradient of `conv2d` by its input."""

def conv_transpose3d(input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: Any = 1, dilation: Any = 1) -> Any:
    """Transposed convolution of volumes: the gradient of `conv3d` by its input."""

def cosine_embedding_loss(input1: Any, input2: Any, target: Any, margin: Any = 0, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean') -> Tensor:
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1."""

def cosine_similarity(x1: Any, x2: Any, dim: Any = 1, eps: Any = 1e-08) -> Tensor:
    """The cosine of the angle between vectors along `dim`; norms below `eps` count as eps."""

def cross_entropy(input: Any, target: Any, weight: Any = None, size_average: Any = None, ignore_index: Any = -100, reduce: Any = None, reduction: Any = 'mean', label_smoothing: Any = 0.0) -> Tensor:
    """Cross-entropy of softmax(input) with class indices or probabilities."""

def ctc_loss(log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, blank: Any = 0, reduction: Any = 'mean', zero_infinity: Any = False) -> Tensor:
    """Minus the log-probability of a target, summed over its alignments; Graves et al. 2006."""

def dropout(input: Any, p: Any = 0.5, training: Any = True, inplace: Any = False) -> Tensor:
    """Zero elements with probability `p` and scale the rest by 1 / (1 - p), in training."""

def dropout1d(input: Any, p: Any = 0.5, training: Any = True, inplace: Any = False) -> Any:
    """Zero whole channels of (N, C, L) or (C, L) with probability `p`, scaling the rest."""

def dropout2d(input: Any, p: Any = 0.5, training: Any = True, inplace: Any = False) -> Any:
    """Zero whole channels of images (N, C, H, W) with probability `p`, scaling the rest."""

def dropout3d(input: Any, p: Any = 0.5, training: Any = True, inplace: Any = False) -> Any:
    """Zero whole channels of (N, C, D, H, W) or (C, D, H, W) with probability `p`."""

def elu(input: Any, alpha: Any = 1.0, inplace: Any = False) -> Tensor:
    """x where it is positive, alpha (e^x - 1) elsewhere."""

def elu_(input: Any, *args: Any, **keywords: Any) -> Tensor:
    """`elu`, in place."""

def embedding(input: Any, weight: Any, padding_idx: Any = None, max_norm: Any = None, norm_type: Any = 2.0, scale_grad_by_freq: Any = False, sparse: Any = False) -> Tensor:
    """The rows of `weight` (rows, features) that `input` names; shape (*, features)."""

def embedding_bag(input: Any, weight: Any, offsets: Any = None, max_norm: Any = None, norm_type: Any = 2, scale_grad_by_freq: Any = False, mode: Any = 'mean', sparse: Any = False, per_sample_weights: Any = None, include_last_offset: Any = False, padding_idx: Any = None) -> Tensor:
    """The sum, mean or largest of the embeddings of each bag of indices."""

def expit(input: Any) -> Tensor:
    """The logistic function 1 / (1 + e^-x), stable at both ends."""

def feature_alpha_dropout(input: Any, p: Any = 0.5, training: Any = False, inplace: Any = False) -> Any:
    """`alpha_dropout` of whole channels of (N, C, ...)."""

def fold(input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Columns of patches summed into images (N, C, *output_size): the adjoint of `unfold`."""

def gaussian_nll_loss(input: Any, target: Any, var: Any, full: Any = False, eps: Any = 1e-06, reduction: Any = 'mean') -> Tensor:
    """Minus the log-likelihood of targets under normal distributions with given variances."""

def gelu(input: Any, *, approximate: Any = 'none') -> Tensor:
    """x times the normal distribution function of x; `approximate` is 'none' or 'tanh'."""

def glu(input: Any, dim: Any = -1) -> Tensor:
    """The first half along `dim` times the sigmoid of the second half."""

def grid_sample(input: Any, grid: Any, mode: Any = 'bilinear', padding_mode: Any = 'zeros', align_corners: Any = None) -> Tensor:
    """The image at the points of a grid, whose coordinates go from -1 to 1 (x first)."""

def group_norm(input: Any, num_groups: Any, weight: Any = None, bias: Any = None, eps: Any = 1e-05, cudnn_enabled: Any = True) -> Any:
    """(x - mean) / sqrt(var + eps) per sample and group of channels, times w plus b per channel."""

def gumbel_softmax(logits: Any, tau: Any = 1, hard: Any = False, eps: Any = 1e-10, dim: Any = -1) -> Tensor:
    """A sample from the categorical distribution of `logits`, differentiable in them."""

def hardshrink(input: Any, lambd: Any = 0.5) -> Tensor:
    """x, but 0 from -lambd to lambd."""

def hardsigmoid(input: Any, inplace: Any = False) -> Tensor:
    """(x + 3) / 6 limited to [0, 1]: a sigmoid of straight lines."""

def hardswish(input: Any, inplace: Any = False) -> Tensor:
    """x times its hard sigmoid. Source: Howard et al., 'Searching for MobileNetV3' (2019)."""

def hardtanh(input: Any, min_val: Any = -1.0, max_val: Any = 1.0, inplace: Any = False) -> Tensor:
    """x limited to the range from `min_val` to `max_val`."""

def hardtanh_(input: Any, *args: Any, **keywords: Any) -> Tensor:
    """`hardtanh`, in place."""

def hinge_embedding_loss(input: Any, target: Any, margin: Any = 1.0, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean') -> Tensor:
    """x where the target is 1, max(0, margin - x) where it is -1: x is a distance."""

def huber_loss(input: Any, target: Any, reduction: Any = 'mean', delta: Any = 1.0, weight: Any = None) -> Tensor:
    """Square near 0, absolute beyond `delta`. Source: Huber (1964)."""

def instance_norm(input: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None, bias: Any = None, use_input_stats: Any = True, momentum: Any = 0.1, eps: Any = 1e-05) -> Tensor:
    """(x - mean) / sqrt(var + eps) per sample and channel, times weight plus bias."""

def interpolate(input: Any, size: Any = None, scale_factor: Any = None, mode: Any = 'nearest', align_corners: Any = None, recompute_scale_factor: Any = None, antialias: Any = False) -> Tensor:
    """Resize (N, C, *S) to spatial `size` or by `scale_factor`."""

def kl_div(input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean', log_target: Any = False) -> Tensor:
    """The Kullback-Leibler divergence of log-probabilities `input` from a distribution `target`."""

def l1_loss(input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean', weight: Any = None) -> Tensor:
    """The mean absolute error."""

def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: Any = 1e-05, cudnn_enable: Any = True) -> Any:
    """(x - mean) / sqrt(var + eps) over the trailing axes, times w plus b."""

def leaky_relu(input: Any, negative_slope: Any = 0.01, inplace: Any = False) -> Tensor:
    """x where it is positive, `negative_slope` times x elsewhere."""

def leaky_relu_(input: Any, *args: Any, **keywords: Any) -> Tensor:
    """`leaky_relu`, in place."""

def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """x wᵀ + b: every row of `x` (..., in) through the weight `w` (out, in) and bias `b` (out)."""

def local_response_norm(input: Any, size: Any, alpha: Any = 0.0001, beta: Any = 0.75, k: Any = 1.0) -> Tensor:
    """x / (k + alpha * mean of x^2 over `size` neighbouring channels)^beta."""

def log_softmax(input: Any, dim: Any = None, *, dtype: Any = None, _stacklevel: Any = 3) -> Tensor:
    """The logarithm of softmax, finite where softmax itself would round to 0."""

def logsigmoid(input: Any) -> Tensor:
    """The logarithm of the sigmoid, -ln(1 + e^-x), finite where the sigmoid rounds to 0."""

def lp_pool1d(input: Any, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: Any = False) -> Any:
    """The p-norm of each window of sequences (N, C, L): (sum of x^p)^(1/p)."""

def lp_pool2d(input: Any, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: Any = False) -> Any:
    """The p-norm of each window of images (N, C, H, W): (sum of x^p)^(1/p)."""

def lp_pool3d(input: Any, norm_type: Any, kernel_size: Any, stride: Any = None, ceil_mode: Any = False) -> Any:
    """The p-norm of each window of volumes (N, C, D, H, W): (sum of x^p)^(1/p)."""

def margin_ranking_loss(input1: Any, input2: Any, target: Any, margin: Any = 0, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean') -> Tensor:
    """max(0, -t (x1 - x2) + margin): the first should rank higher where t is 1, lower at -1."""

def max_pool1d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: Any = False, return_indices: Any = False) -> Any:
    """The largest value of each window of sequences (N, C, L); the stride is the kernel's size."""

def max_pool1d_with_indices(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: Any = False, return_indices: Any = True) -> Any:
    """`max_pool1d` and the places of the largest values."""

def max_pool2d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: Any = False, return_indices: Any = False) -> Any:
    """The largest value of each window of images (N, C, H, W) or (C, H, W)."""

def max_pool2d_with_indices(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: Any = False, return_indices: Any = True) -> Any:
    """`max_pool2d` and the places of the largest values."""

def max_pool3d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: Any = False, return_indices: Any = False) -> Any:
    """The largest value of each window of volumes (N, C, D, H, W) or (C, D, H, W)."""

def max_pool3d_with_indices(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: Any = False, return_indices: Any = True) -> Any:
    """`max_pool3d` and the places of the largest values."""

def max_unpool1d(input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Any:
    """Pooled sequences (N, C, L) back where max_pool1d found them, zeros elsewhere."""

def max_unpool2d(input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Any:
    """Pooled images (N, C, H, W) back where max_pool2d found them, zeros elsewhere."""

def max_unpool3d(input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None) -> Any:
    """Pooled volumes (N, C, D, H, W) back where max_pool3d found them, zeros elsewhere."""

def mish(input: Any, inplace: Any = False) -> Tensor:
    """x times the tanh of its softplus. Source: Misra (2019)."""

def mse_loss(input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean', weight: Any = None) -> Tensor:
    """The mean square error."""

def multi_head_attention_forward(query: Any, key: Any, value: Any, embed_dim_to_check: Any, num_heads: Any, in_proj_weight: Any, in_proj_bias: Any, bias_k: Any, bias_v: Any, add_zero_attn: Any, dropout_p: Any, out_proj_weight: Any, out_proj_bias: Any, training: Any = True, key_padding_mask: Any = None, need_weights: Any = True, attn_mask: Any = None, use_separate_proj_weight: Any = False, q_proj_weight: Any = None, k_proj_weight: Any = None, v_proj_weight: Any = None, static_k: Any = None, static_v: Any = None, average_attn_weights: Any = True, is_causal: Any = False) -> Tensor:
    """Attention in `num_heads` heads: (output (L, N, E), weights (N, L, S) or None)."""

def multi_margin_loss(input: Any, target: Any, p: Any = 1, margin: Any = 1.0, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean') -> Tensor:
    """The mean over wrong classes j of max(0, margin - x_y + x_j)^p, p being 1 or 2."""

def multilabel_margin_loss(input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean') -> Tensor:
    """Over target classes i and others j, the sum of max(0, 1 - (x_i - x_j)), divided by C."""

def multilabel_soft_margin_loss(input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean') -> Tensor:
    """The binary cross-entropy of each of C labels, averaged over them."""

def nll_loss(input: Any, target: Any, weight: Any = None, size_average: Any = None, ignore_index: Any = -100, reduce: Any = None, reduction: Any = 'mean') -> Tensor:
    """Minus the entries of `x` (N, C, ...) at the target classes, weighted by class."""

def normalize(input: Any, p: Any = 2.0, dim: Any = 1, eps: Any = 1e-12, out: Any = None) -> Tensor:
    """Vectors along `dim` divided by their p-norm, or by `eps` where that is larger."""

def one_hot(tensor: Any, num_classes: Any = -1) -> Tensor:
    """Whole numbers as vectors with a 1 at their place; the classes are the new last axis."""

def pad(input: Any, pad: Any, mode: Any = 'constant', value: Any = None) -> Tensor:
    """The input with a border: `pad` lists (before, after) of the last axis, then of others."""

def pairwise_distance(x1: Any, x2: Any, p: Any = 2.0, eps: Any = 1e-06, keepdim: Any = False) -> Tensor:
    """The p-norm of the difference of vectors, along the last axis; `eps` keeps it off 0."""

def pdist(input: Any, p: Any = 2.0) -> Tensor:
    """The p-norm of the difference of every two rows, as one vector: (0, 1), (0, 2), ..."""

def pixel_shuffle(input: Any, upscale_factor: Any) -> Tensor:
    """(*, C r², H, W) as (*, C, H r, W r): channels become pixels. Source: Shi et al. (2016)."""

def pixel_unshuffle(input: Any, downscale_factor: Any) -> Tensor:
    """(*, C, H r, W r) as (*, C r², H, W): pixels become channels."""

def poisson_nll_loss(input: Any, target: Any, log_input: Any = True, full: Any = False, size_average: Any = None, eps: Any = 1e-08, reduce: Any = None, reduction: Any = 'mean') -> Tensor:
    """Minus the log-likelihood of counts `target` under a Poisson distribution."""

def prelu(input: Any, weight: Any) -> Tensor:
    """x where it is positive, a learned slope times x elsewhere: one slope, or one per channel."""

def relu(input: Any, inplace: Any = False) -> Tensor:
    """max(0, x); the gradient at 0 is 0."""

def relu6(input: Any, inplace: Any = False) -> Tensor:
    """min(max(0, x), 6)."""

def relu_(input: Any, *args: Any, **keywords: Any) -> Tensor:
    """`relu`, in place."""

def rms_norm(input: Any, normalized_shape: Any, weight: Any = None, eps: Any = None) -> Any:
    """x / sqrt(mean of x^2 + eps) over the trailing axes, times w."""

def rrelu(input: Any, lower: Any = 0.125, upper: Any = 0.3333333333333333, training: Any = False, inplace: Any = False) -> Tensor:
    """A leaky relu whose negative slopes are drawn from [lower, upper) in training."""

def rrelu_(input: Any, *args: Any, **keywords: Any) -> Tensor:
    """`rrelu`, in place."""

def scaled_dot_product_attention(query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: Any = 0.0, is_causal: Any = False, scale: Any = None, enable_gqa: Any = False) -> Tensor:
    """softmax(query key^T scale + mask) value, the heart of a transformer."""

def selu(input: Any, inplace: Any = False) -> Tensor:
    """A scaled elu that keeps mean 0 and variance 1 through layers."""

def selu_(input: Any, *args: Any, **keywords: Any) -> Tensor:
    """`selu`, in place."""

def sigmoid(input: Any) -> Tensor:
    """The logistic function 1 / (1 + e^-x), stable at both ends."""

def silu(input: Any, inplace: Any = False) -> Tensor:
    """x times its sigmoid; also called swish."""

def smooth_l1_loss(input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean', beta: Any = 1.0) -> Tensor:
    """Huber's loss divided by `beta`: slope 1 beyond it. With beta 0 the absolute error."""

def soft_margin_loss(input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean') -> Tensor:
    """ln(1 + e^(-t x)) with targets t of 1 or -1."""

def softmax(input: Any, dim: Any = None, *, dtype: Any = None, _stacklevel: Any = 3) -> Tensor:
    """e^x along `dim`, divided by its sum."""

def softmin(input: Any, dim: Any = None, _stacklevel: Any = 3, dtype: Any = None) -> Tensor:
    """Softmax of minus the input."""

def softplus(input: Any, beta: Any = 1.0, threshold: Any = 20.0) -> Tensor:
    """ln(1 + e^(beta x)) / beta, a smooth relu; x itself where beta x exceeds `threshold`."""

def softshrink(input: Any, lambd: Any = 0.5) -> Tensor:
    """x moved towards 0 by `lambd`, and 0 within that distance."""

def softsign(input: Any) -> Tensor:
    """x / (1 + |x|)."""

def tanh(input: Any) -> Tensor:
    """The hyperbolic tangent, in (-1, 1)."""

def tanhshrink(input: Any) -> Tensor:
    """x - tanh(x)."""

def threshold(input: Any, threshold: Any, value: Any, inplace: Any = False) -> Tensor:
    """x where it exceeds `threshold`, `value` elsewhere."""

def threshold_(input: Any, *args: Any, **keywords: Any) -> Tensor:
    """`threshold`, in place."""

def triplet_margin_loss(anchor: Any, positive: Any, negative: Any, margin: Any = 1.0, p: Any = 2, eps: Any = 1e-06, swap: Any = False, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean') -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d being a p-norm."""

def triplet_margin_with_distance_loss(anchor: Any, positive: Any, negative: Any, *, distance_function: Any = None, margin: Any = 1.0, swap: Any = False, reduction: Any = 'mean') -> Tensor:
    """The triplet margin loss with a distance function of one's own."""

def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Patches of images (N, C, H, W) as columns (N, C * kernel area, number of patches)."""

def upsample(input: Any, size: Any = None, scale_factor: Any = None, mode: Any = 'nearest', align_corners: Any = None) -> Any:
    """`interpolate` by its older name."""

def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` with mode bilinear and corners aligned."""

def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` with mode nearest."""

