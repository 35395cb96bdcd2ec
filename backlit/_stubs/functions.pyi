"""Written by tools/stubs.py from the operator registry; a test keeps it fresh."""

from typing import Any

from backlit.tensor import Tensor

def abs(input: Any) -> Tensor:
    """The absolute value; its gradient at 0 is 0."""

def abs_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`abs`, in place."""

def absolute(input: Any) -> Tensor:
    """The absolute value; its gradient at 0 is 0."""

def absolute_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`abs`, in place."""

def acos(input: Any) -> Tensor:
    """The inverse cosine."""

def acos_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`acos`, in place."""

def acosh(input: Any) -> Tensor:
    """The inverse hyperbolic cosine."""

def acosh_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`acosh`, in place."""

def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """The mean over windows that give sequences (N, C, L) a size; None keeps one."""

def add(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """Sum of two tensors, element by element, with broadcasting; `alpha` scales the second."""

def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * the sum of bmm(batch1, batch2) over the batch."""

def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
    """x + value a / b."""

def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
    """x + value a b."""

def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2)."""

def addmv(input: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat @ vec)."""

def addr(input: Any, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * outer(vec1, vec2)."""

def adjoint(input: Any) -> Any:
    """The last two axes swapped."""

def all(input: Any, dim: Any = None, keepdim: Any = False) -> Tensor:
    """Whether every element is not 0."""

def allclose(input: Any, other: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: Any = False) -> Any:
    """Whether all elements are close; see `isclose`."""

def alpha_dropout(input: Any, p: Any = 0.5, training: Any = False, inplace: Any = False) -> Any:
    """Dropout for SELU networks: dropped elements take its negative limit, mean and variance stay."""

def amax(input: Any, dim: Any = ..., keepdim: Any = False) -> Tensor:
    """The largest element along axes; ties share the gradient evenly. NaN counts as largest."""

def amin(input: Any, dim: Any = ..., keepdim: Any = False) -> Tensor:
    """The smallest element along axes; ties share the gradient evenly. NaN counts as smallest."""

def aminmax(input: Any, *, dim: Any = None, keepdim: Any = False) -> Any:
    """The smallest and the largest element, of all or along one axis."""

def angle(input: Any) -> Tensor:
    """The angle in the complex plane: pi for negative numbers, 0 for others, NaN for NaN."""

def angle_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`angle`, in place."""

def any(input: Any, dim: Any = None, keepdim: Any = False) -> Tensor:
    """Whether any element is not 0."""

def arccos(input: Any) -> Tensor:
    """The inverse cosine."""

def arccos_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`acos`, in place."""

def arccosh(input: Any) -> Tensor:
    """The inverse hyperbolic cosine."""

def arccosh_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`acosh`, in place."""

def arcsin(input: Any) -> Tensor:
    """The inverse sine."""

def arcsin_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`asin`, in place."""

def arcsinh(input: Any) -> Tensor:
    """The inverse hyperbolic sine."""

def arcsinh_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`asinh`, in place."""

def arctan(input: Any) -> Tensor:
    """The inverse tangent."""

def arctan2(input: Any, other: Any) -> Tensor:
    """The angle of the point (other, input), in radians from -pi to pi."""

def arctan_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`atan`, in place."""

def arctanh(input: Any) -> Tensor:
    """The inverse hyperbolic tangent."""

def arctanh_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`atanh`, in place."""

def argmax(input: Any, dim: Any = None, keepdim: Any = False) -> Tensor:
    """The index of the largest element: in the flat tensor, or along `dim`. The first of ties."""

def argmin(input: Any, dim: Any = None, keepdim: Any = False) -> Tensor:
    """The index of the smallest element: in the flat tensor, or along `dim`. The first of ties."""

def argsort(input: Any, dim: Any = -1, descending: Any = False, stable: Any = False) -> Tensor:
    """The indices that sort an axis; always stable."""

def argwhere(input: Any) -> Any:
    """The indices of the elements that are not 0, one row each."""

def asin(input: Any) -> Tensor:
    """The inverse sine."""

def asin_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`asin`, in place."""

def asinh(input: Any) -> Tensor:
    """The inverse hyperbolic sine."""

def asinh_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`asinh`, in place."""

def atan(input: Any) -> Tensor:
    """The inverse tangent."""

def atan2(input: Any, other: Any) -> Tensor:
    """The angle of the point (other, input), in radians from -pi to pi."""

def atan_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`atan`, in place."""

def atanh(input: Any) -> Tensor:
    """The inverse hyperbolic tangent."""

def atanh_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`atanh`, in place."""

def atleast_1d(*tensors: Any) -> Any:
    """Tensors with at least one axis."""

def atleast_2d(*tensors: Any) -> Any:
    """Tensors with at least two axes; a vector becomes a row."""

def atleast_3d(*tensors: Any) -> Any:
    """Tensors with at least three axes; a matrix becomes one with a last axis of 1."""

def avg_pool1d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: Any = False, count_include_pad: Any = True, divisor_override: Any = None) -> Any:
    """The mean of each window of sequences (N, C, L) or (C, L)."""

def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * bmm(batch1, batch2)."""

def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Tensor:
    """x1ᵀ W x2 + b: for each output feature one matrix between two inputs (..., in1), (..., in2)."""

def bincount(input: Any, weights: Any = None, minlength: Any = 0) -> Tensor:
    """How often each whole number from 0 on occurs; with `weights` the sums of their weights."""

def bitwise_and(input: Any, other: Any) -> Tensor:
    """Bits that are set in both; of bools, whether both hold. The operator `&`."""

def bitwise_left_shift(input: Any, other: Any) -> Tensor:
    """The bits moved up by `other` places. The operator `<<`."""

def bitwise_not(input: Any) -> Tensor:
    """The complement of every bit; of bools, the contrary. The operator `~`."""

def bitwise_not_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`bitwise_not`, in place."""

def bitwise_or(input: Any, other: Any) -> Tensor:
    """Bits that are set in at least one; of bools, whether one holds. The operator `|`."""

def bitwise_right_shift(input: Any, other: Any) -> Tensor:
    """The bits moved down by `other` places, keeping the sign. The operator `>>`."""

def bitwise_xor(input: Any, other: Any) -> Tensor:
    """Bits that are set in exactly one; of bools, whether they differ. The operator `^`."""

def block_diag(*tensors: Any) -> Any:
    """Matrices along the diagonal of a larger one, zeros elsewhere."""

def bmm(input: Any, mat2: Any) -> Any:
    """The products of two batches of matrices, of equal size."""

def broadcast_shapes(*shapes: Any) -> Any:
    """The shape that tensors of these shapes broadcast to."""

def broadcast_tensors(*tensors: Any) -> Any:
    """The tensors, expanded to their common shape."""

def broadcast_to(input: Any, size: Any) -> Any:
    """Repeated along axes of size 1, without copying."""

def bucketize(input: Any, boundaries: Any, *, out_int32: Any = False, right: Any = False) -> Any:
    """The number of the bucket, between sorted boundaries, that each element falls into."""

def cartesian_prod(*tensors: Any) -> Any:
    """All tuples of elements, one from each vector, as rows."""

def cat(tensors: Any, dim: Any = 0) -> Tensor:
    """Tensors joined along an existing axis."""

def cdist(x1: Any, x2: Any, p: Any = 2.0, compute_mode: Any = 'use_mm_for_euclid_dist_if_necessary') -> Tensor:
    """The p-norm of the difference of every row of one batch and every row of another."""

def ceil(input: Any) -> Tensor:
    """The smallest whole number not below x; its gradient is 0."""

def ceil_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`ceil`, in place."""

def celu(input: Any, alpha: Any = 1.0, inplace: Any = False) -> Tensor:
    """x where it is positive, alpha (e^(x / alpha) - 1) elsewhere: smooth for every alpha."""

def chain_matmul(*matrices: Any, out: Any = None) -> Any:
    """The product of a chain of matrices, as `linalg.multi_dot`."""

def channel_shuffle(input: Any, groups: Any) -> Tensor:
    """Channels (axis 1) dealt out from `groups` groups in turn. Source: Zhang et al. (2018)."""

def cholesky(input: Any, upper: Any = False) -> Tensor:
    """The lower triangular L with L Lᵀ = A, for symmetric positive definite A."""

def cholesky_inverse(L: Any, upper: Any = False) -> Tensor:
    """The inverse of A, given its Cholesky factor."""

def cholesky_solve(input: Any, L: Any, upper: Any = False) -> Tensor:
    """X with A X = input, given the Cholesky factor of A."""

def chunk(input: Any, chunks: Any, dim: Any = 0) -> Any:
    """At most `chunks` views of equal size along `dim`; the last may be smaller."""

def clamp(input: Any, min: Any = None, max: Any = None) -> Tensor:
    """Limit every element to the range from `min` to `max`, numbers or tensors."""

def clamp_max(input: Any, max: Any) -> Any:
    """Limit every element from above."""

def clamp_min(input: Any, min: Any) -> Any:
    """Limit every element from below."""

def clip(input: Any, min: Any = None, max: Any = None) -> Tensor:
    """Limit every element to the range from `min` to `max`, numbers or tensors."""

def clone(input: Any, *, memory_format: Any = None) -> Tensor:
    """The same values in a cell of their own."""

def column_stack(tensors: Any) -> Any:
    """Tensors joined along the second axis, vectors as columns."""

def combinations(input: Any, r: Any = 2, with_replacement: Any = False) -> Any:
    """All subsets of `r` elements of a vector, as rows."""

def concat(tensors: Any, dim: Any = 0) -> Tensor:
    """Tensors joined along an existing axis."""

def concatenate(tensors: Any, dim: Any = 0) -> Tensor:
    """Tensors joined along an existing axis."""

def conj(input: Any) -> Any:
    """The complex conjugate: of real numbers, the tensor itself."""

def conj_physical(input: Any) -> Any:
    """The complex conjugate: of real numbers, the tensor itself."""

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

def copysign(input: Any, other: Any) -> Tensor:
    """The size of the first with the sign of the second."""

def corrcoef(input: Any) -> Tensor:
    """The correlations of variables (rows) over observations (columns), in [-1, 1]."""

def cos(input: Any) -> Tensor:
    """The cosine."""

def cos_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`cos`, in place."""

def cosh(input: Any) -> Tensor:
    """The hyperbolic cosine."""

def cosh_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`cosh`, in place."""

def cosine_embedding_loss(input1: Any, input2: Any, target: Any, margin: Any = 0, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean') -> Tensor:
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1."""

def cosine_similarity(x1: Any, x2: Any, dim: Any = 1, eps: Any = 1e-08) -> Tensor:
    """The cosine of the angle between vectors along `dim`; norms below `eps` count as eps."""

def count_nonzero(input: Any, dim: Any = None) -> Tensor:
    """How many elements are not 0, in all or along axes."""

def cov(input: Any, *, correction: Any = 1, fweights: Any = None, aweights: Any = None) -> Tensor:
    """The covariances of variables (rows) over observations (columns)."""

def cross(input: Any, other: Any, dim: Any = None) -> Tensor:
    """The cross product of vectors of three elements along an axis."""

def cummax(input: Any, dim: Any) -> Any:
    """The largest elements so far along an axis, and the indices of the last to reach them."""

def cummin(input: Any, dim: Any) -> Any:
    """The smallest elements so far along an axis, and the indices of the last to reach them."""

def cumprod(input: Any, dim: Any, *, dtype: Any = None) -> Tensor:
    """Products of the elements so far, along an axis. Whole numbers multiply to int64."""

def cumsum(input: Any, dim: Any, *, dtype: Any = None) -> Tensor:
    """Sums of the elements so far, along an axis. Whole numbers sum to int64."""

def cumulative_trapezoid(y: Any, x: Any = None, *, dx: Any = 1, dim: Any = -1) -> Tensor:
    """The area under y up to each point, by the trapezoid rule."""

def deg2rad(input: Any) -> Tensor:
    """Degrees as radians."""

def deg2rad_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`deg2rad`, in place."""

def det(input: Any) -> Tensor:
    """The determinant of square matrices; its gradient is the matrix of cofactors."""

def diag(input: Any, diagonal: Any = 0) -> Tensor:
    """A vector as a diagonal matrix, or the diagonal of a matrix."""

def diag_embed(input: Any, offset: Any = 0, dim1: Any = -2, dim2: Any = -1) -> Tensor:
    """Matrices with the last axis of the input on a diagonal, zeros elsewhere."""

def diagflat(input: Any, offset: Any = 0) -> Any:
    """All elements of the input on the diagonal of a matrix."""

def diagonal(input: Any, offset: Any = 0, dim1: Any = 0, dim2: Any = 1) -> Tensor:
    """The view of a diagonal of the plane `dim1`, `dim2`, as the last axis."""

def diagonal_scatter(input: Any, src: Any, offset: Any = 0, dim1: Any = 0, dim2: Any = 1) -> Any:
    """The input with `src` on a diagonal."""

def diff(input: Any, n: Any = 1, dim: Any = -1, prepend: Any = None, append: Any = None) -> Tensor:
    """Differences of neighbours along an axis, `n` times over."""

def digamma(input: Any) -> Tensor:
    """The derivative of ln gamma."""

def digamma_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`digamma`, in place."""

def dist(input: Any, other: Any, p: Any = 2) -> Tensor:
    """The p-norm of the difference of two tensors."""

def div(input: Any, other: Any, *, rounding_mode: Any = None) -> Tensor:
    """Quotient of two tensors; `rounding_mode` is None, 'trunc' or 'floor'."""

def divide(input: Any, other: Any, *, rounding_mode: Any = None) -> Tensor:
    """Quotient of two tensors; `rounding_mode` is None, 'trunc' or 'floor'."""

def dot(input: Any, other: Any) -> Tensor:
    """The sum of the products of two vectors."""

def dropout(input: Any, p: Any = 0.5, training: Any = True, inplace: Any = False) -> Tensor:
    """Zero elements with probability `p` and scale the rest by 1 / (1 - p), in training."""

def dsplit(input: Any, indices_or_sections: Any) -> Any:
    """Views cut along the third axis, at indices or in equal sections."""

def dstack(tensors: Any) -> Any:
    """Tensors joined along the third axis."""

def einsum(equation: Any, *operands: Any) -> Tensor:
    """Products of tensors, summed over the labels that the output lacks."""

def eq(input: Any, other: Any) -> Tensor:
    """Whether two are equal, element by element."""

def equal(input: Any, other: Any) -> Any:
    """Whether two tensors have the same shape and the same elements."""

def erf(input: Any) -> Tensor:
    """The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x."""

def erf_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`erf`, in place."""

def erfc(input: Any) -> Tensor:
    """1 - erf(x), with all digits in the tail."""

def erfc_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`erfc`, in place."""

def erfinv(input: Any) -> Tensor:
    """The number whose error function is x, for x in [-1, 1]."""

def erfinv_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`erfinv`, in place."""

def exp(input: Any) -> Tensor:
    """e to the power x."""

def exp2(input: Any) -> Tensor:
    """2 to the power x."""

def exp2_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`exp2`, in place."""

def exp_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`exp`, in place."""

def expit(input: Any) -> Tensor:
    """The logistic function 1 / (1 + e^-x), stable at both ends."""

def expit_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`sigmoid`, in place."""

def expm1(input: Any) -> Tensor:
    """e to the power x, minus 1, exact for small x."""

def expm1_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`expm1`, in place."""

def feature_alpha_dropout(input: Any, p: Any = 0.5, training: Any = False, inplace: Any = False) -> Any:
    """`alpha_dropout` of whole channels of (N, C, ...)."""

def feature_dropout(input: Any, p: Any = 0.5, training: Any = True, inplace: Any = False) -> Any:
    """Zero whole channels of (N, C, ...) with probability `p`, scaling the rest."""

def fix(input: Any) -> Tensor:
    """x without its fraction; its gradient is 0."""

def fix_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`trunc`, in place."""

def flatten(input: Any, start_dim: Any = 0, end_dim: Any = -1) -> Any:
    """The axes from `start_dim` to `end_dim` as one."""

def flip(input: Any, *dims: Any) -> Tensor:
    """The elements in reverse order along axes."""

def fliplr(input: Any) -> Any:
    """The columns in reverse order."""

def flipud(input: Any) -> Any:
    """The rows in reverse order."""

def float_power(input: Any, exponent: Any) -> Tensor:
    """A power computed in float64."""

def floor(input: Any) -> Tensor:
    """The largest whole number not above x; its gradient is 0."""

def floor_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`floor`, in place."""

def floor_divide(input: Any, other: Any) -> Tensor:
    """Quotient rounded towards minus infinity."""

def fmax(input: Any, other: Any) -> Tensor:
    """The larger of two; a NaN gives way to a number."""

def fmin(input: Any, other: Any) -> Tensor:
    """The smaller of two; a NaN gives way to a number."""

def fmod(input: Any, other: Any) -> Tensor:
    """Remainder with the sign of the dividend, as C's fmod."""

def frac(input: Any) -> Tensor:
    """The fraction of x, with its sign."""

def frac_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`frac`, in place."""

def gather(input: Any, dim: Any, index: Any, *, sparse_grad: Any = False) -> Tensor:
    """`out[i][j] = input[index[i][j]][j]` along `dim`, as index and input agree elsewhere."""

def gcd(input: Any, other: Any) -> Tensor:
    """The greatest common divisor; gcd(0, 0) is 0."""

def ge(input: Any, other: Any) -> Tensor:
    """Whether the first is larger or equal."""

def ger(input: Any, vec2: Any) -> Tensor:
    """All products of the elements of two vectors, as a matrix."""

def greater(input: Any, other: Any) -> Tensor:
    """Whether the first is larger."""

def greater_equal(input: Any, other: Any) -> Tensor:
    """Whether the first is larger or equal."""

def group_norm(input: Any, num_groups: Any, weight: Any = None, bias: Any = None, eps: Any = 1e-05, cudnn_enabled: Any = True) -> Any:
    """(x - mean) / sqrt(var + eps) per sample and group of channels, times w plus b per channel."""

def gru(input: Any, hx: Any, params: Any, has_biases: Any, num_layers: Any, dropout: Any, train: Any, bidirectional: Any, batch_first: Any) -> Any:
    """A stack of GRU layers over a sequence: (output, h_n)."""

def gru_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """One step of a GRU: (N, features) and (N, size) to the next (N, size)."""

def gt(input: Any, other: Any) -> Tensor:
    """Whether the first is larger."""

def hardshrink(input: Any, lambd: Any = 0.5) -> Tensor:
    """x, but 0 from -lambd to lambd."""

def hardshrink_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`hardshrink`, in place."""

def heaviside(input: Any, values: Any) -> Tensor:
    """0 below 0, 1 above, and `values` at 0."""

def hinge_embedding_loss(input: Any, target: Any, margin: Any = 1.0, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean') -> Tensor:
    """x where the target is 1, max(0, margin - x) where it is -1: x is a distance."""

def histc(input: Any, bins: Any = 100, min: Any = 0, max: Any = 0) -> Tensor:
    """How many elements fall into each of `bins` equal bins from `min` to `max`."""

def hsplit(input: Any, indices_or_sections: Any) -> Any:
    """Views cut along the second axis (vectors: the only one), at indices or in equal sections."""

def hstack(tensors: Any) -> Any:
    """Tensors joined along the second axis, vectors along their only one."""

def hypot(input: Any, other: Any) -> Tensor:
    """The hypotenuse: the root of a^2 + b^2, without overflow on the way."""

def index_add(input: Any, dim: Any, index: Any, source: Any, *, alpha: Any = 1) -> Tensor:
    """`input` with the slices of `source`, times `alpha`, added at an index vector along `dim`."""

def index_copy(input: Any, dim: Any, index: Any, source: Any) -> Any:
    """The input with the slices of `source` written at an index vector along `dim`."""

def index_fill(input: Any, dim: Any, index: Any, value: Any) -> Any:
    """The input with one value in the slices that an index vector names."""

def index_put(input: Any, indices: Any, values: Any, accumulate: Any = False) -> Any:
    """The input with `values` written (or added) where the index tensors point."""

def index_reduce(input: Any, dim: Any, index: Any, source: Any, reduce: Any, *, include_self: Any = True) -> Tensor:
    """`input` with slices of `source` reduced into it: 'prod', 'mean', 'amax' or 'amin'."""

def index_select(input: Any, dim: Any, index: Any) -> Tensor:
    """The slices of an axis that an index vector names."""

def inner(input: Any, other: Any) -> Tensor:
    """The products over the last axes: of every row of one with every row of the other."""

def inv(input: Any) -> Tensor:
    """The inverse of square matrices."""

def inverse(input: Any) -> Tensor:
    """The inverse of square matrices."""

def isclose(input: Any, other: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: Any = False) -> Tensor:
    """Whether |a - b| <= atol + rtol |b|; equal infinities are close."""

def isfinite(input: Any) -> Tensor:
    """Whether an element is neither infinite nor NaN."""

def isfinite_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`isfinite`, in place."""

def isin(elements: Any, test_elements: Any, *, assume_unique: Any = False, invert: Any = False) -> Tensor:
    """Whether each element is among the test elements."""

def isinf(input: Any) -> Tensor:
    """Whether an element is infinite."""

def isinf_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`isinf`, in place."""

def isnan(input: Any) -> Tensor:
    """Whether an element is NaN."""

def isnan_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`isnan`, in place."""

def isneginf(input: Any) -> Tensor:
    """Whether an element is minus infinity."""

def isneginf_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`isneginf`, in place."""

def isposinf(input: Any) -> Tensor:
    """Whether an element is plus infinity."""

def isposinf_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`isposinf`, in place."""

def isreal(input: Any) -> Tensor:
    """Whether an element has no imaginary part: always."""

def isreal_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`isreal`, in place."""

def kl_div(input: Any, target: Any, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean', log_target: Any = False) -> Tensor:
    """The Kullback-Leibler divergence of log-probabilities `input` from a distribution `target`."""

def kron(input: Any, other: Any) -> Tensor:
    """The Kronecker product: every element of the first times the whole second."""

def kthvalue(input: Any, k: Any, dim: Any = -1, keepdim: Any = False) -> Any:
    """The `k`-th smallest element of an axis, counted from 1, and its index."""

def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: Any = 1e-05, cudnn_enable: Any = True) -> Any:
    """(x - mean) / sqrt(var + eps) over the trailing axes, times w plus b."""

def lcm(input: Any, other: Any) -> Tensor:
    """The least common multiple; 0 where one is 0."""

def ldexp(input: Any, other: Any) -> Tensor:
    """x times 2 to the power `other`."""

def le(input: Any, other: Any) -> Tensor:
    """Whether the first is smaller or equal."""

def lerp(input: Any, end: Any, weight: Any) -> Tensor:
    """a + w (b - a): from the first (w = 0) to the second (w = 1)."""

def less(input: Any, other: Any) -> Tensor:
    """Whether the first is smaller."""

def less_equal(input: Any, other: Any) -> Tensor:
    """Whether the first is smaller or equal."""

def lgamma(input: Any) -> Tensor:
    """The logarithm of the absolute value of the gamma function."""

def lgamma_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`lgamma`, in place."""

def log(input: Any) -> Tensor:
    """The natural logarithm."""

def log10(input: Any) -> Tensor:
    """The logarithm to base 10."""

def log10_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`log10`, in place."""

def log1p(input: Any) -> Tensor:
    """The natural logarithm of 1 + x, exact for small x."""

def log1p_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`log1p`, in place."""

def log2(input: Any) -> Tensor:
    """The logarithm to base 2."""

def log2_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`log2`, in place."""

def log_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`log`, in place."""

def log_softmax(input: Any, dim: Any = None, *, dtype: Any = None, _stacklevel: Any = 3) -> Tensor:
    """The logarithm of softmax, finite where softmax itself would round to 0."""

def logaddexp(input: Any, other: Any) -> Tensor:
    """ln(e^a + e^b), finite for any size."""

def logaddexp2(input: Any, other: Any) -> Tensor:
    """The logarithm to base 2 of 2^a + 2^b."""

def logcumsumexp(input: Any, dim: Any) -> Tensor:
    """ln of the sums of e^x so far, along an axis, finite for any size of x."""

def logdet(input: Any) -> Tensor:
    """The logarithm of the determinant: NaN where it is negative, -inf where it is 0."""

def logical_and(input: Any, other: Any) -> Tensor:
    """Whether both hold (are not 0)."""

def logical_not(input: Any) -> Tensor:
    """Whether it does not hold (is 0)."""

def logical_not_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`logical_not`, in place."""

def logical_or(input: Any, other: Any) -> Tensor:
    """Whether at least one holds (is not 0)."""

def logical_xor(input: Any, other: Any) -> Tensor:
    """Whether exactly one holds (is not 0)."""

def logit(input: Any, eps: Any = None) -> Tensor:
    """ln(x / (1 - x)), the inverse of the sigmoid; `eps` first limits x to [eps, 1 - eps]."""

def logit_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`logit`, in place."""

def logsumexp(input: Any, dim: Any, keepdim: Any = False) -> Tensor:
    """ln of the sum of e^x along axes, finite for any size of x."""

def lstm(input: Any, hx: Any, params: Any, has_biases: Any, num_layers: Any, dropout: Any, train: Any, bidirectional: Any, batch_first: Any) -> Any:
    """A stack of LSTM layers over a sequence: (output, h_n, c_n)."""

def lstm_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """One step of an LSTM: (N, features) and (h, c), each (N, size), to the next (h, c)."""

def lt(input: Any, other: Any) -> Tensor:
    """Whether the first is smaller."""

def margin_ranking_loss(input1: Any, input2: Any, target: Any, margin: Any = 0, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean') -> Tensor:
    """max(0, -t (x1 - x2) + margin): the first should rank higher where t is 1, lower at -1."""

def masked_fill(input: Any, mask: Any, value: Any) -> Tensor:
    """`input` with one `value` wherever the bool `mask` holds."""

def masked_scatter(input: Any, mask: Any, source: Any) -> Any:
    """The input with the elements of `source`, in order, where the mask holds."""

def masked_select(input: Any, mask: Any) -> Any:
    """The elements where the mask holds, as a vector."""

def matmul(input: Any, other: Any) -> Tensor:
    """The matrix product; vectors are rows or columns as needed, leading axes broadcast."""

def matrix_exp(input: Any) -> Tensor:
    """The exponential of square matrices, by scaling, a Taylor series and squaring."""

def matrix_power(input: Any, n: Any) -> Tensor:
    """A square matrix multiplied with itself n times; of a negative n the inverse."""

def max(input: Any, dim: Any = None, keepdim: Any = False, *, other: Any = None) -> Any:
    """The largest element; along `dim` also its index; of two tensors, element by element."""

def max_pool1d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: Any = False, return_indices: Any = False) -> Any:
    """The largest value of each window of sequences (N, C, L); the stride is the kernel's size."""

def max_pool2d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: Any = False, return_indices: Any = False) -> Any:
    """The largest value of each window of images (N, C, H, W) or (C, H, W)."""

def max_pool3d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: Any = False, return_indices: Any = False) -> Any:
    """The largest value of each window of volumes (N, C, D, H, W) or (C, D, H, W)."""

def maximum(input: Any, other: Any) -> Tensor:
    """The larger of two, element by element; a tie shares the gradient in halves."""

def mean(input: Any, dim: Any = None, keepdim: Any = False, *, dtype: Any = None) -> Tensor:
    """The mean of all elements, or along axes; of nothing it is NaN."""

def median(input: Any, dim: Any = None, keepdim: Any = False) -> Any:
    """The lower median of all elements; along `dim` also its index. With a NaN it is NaN."""

def meshgrid(*tensors: Any, indexing: Any = 'ij') -> Any:
    """Coordinates of a grid from its axes; 'xy' swaps the first two."""

def min(input: Any, dim: Any = None, keepdim: Any = False, *, other: Any = None) -> Any:
    """The smallest element; along `dim` also its index; of two tensors, element by element."""

def minimum(input: Any, other: Any) -> Tensor:
    """The smaller of two, element by element; a tie shares the gradient in halves."""

def mm(input: Any, mat2: Any) -> Any:
    """The product of two matrices."""

def mode(input: Any, dim: Any = -1, keepdim: Any = False) -> Any:
    """The most frequent value along an axis, the smallest of several, and its last index."""

def moveaxis(input: Any, source: Any, destination: Any) -> Any:
    """Axes moved to other positions; the rest keep their order."""

def movedim(input: Any, source: Any, destination: Any) -> Any:
    """Axes moved to other positions; the rest keep their order."""

def msort(input: Any) -> Any:
    """The rows sorted along the first axis."""

def mul(input: Any, other: Any) -> Tensor:
    """Product of two tensors, element by element (the Hadamard product)."""

def multigammaln(input: Any, p: Any) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension p."""

def multiply(input: Any, other: Any) -> Tensor:
    """Product of two tensors, element by element (the Hadamard product)."""

def mv(input: Any, vec: Any) -> Any:
    """The product of a matrix and a vector."""

def mvlgamma(input: Any, p: Any) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension p."""

def nan_to_num(input: Any, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Tensor:
    """NaN as 0 (`nan`), infinities as the largest numbers of the dtype (`posinf`, `neginf`)."""

def nan_to_num_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`nan_to_num`, in place."""

def nanmean(input: Any, dim: Any = None, keepdim: Any = False, *, dtype: Any = None) -> Tensor:
    """The mean of the elements that are numbers."""

def nanmedian(input: Any, dim: Any = None, keepdim: Any = False) -> Any:
    """The lower median of the elements that are numbers; along `dim` also its index."""

def nanquantile(input: Any, q: Any, dim: Any = None, keepdim: Any = False, *, interpolation: Any = 'linear') -> Tensor:
    """Quantiles of the elements that are numbers."""

def nansum(input: Any, dim: Any = None, keepdim: Any = False, *, dtype: Any = None) -> Tensor:
    """The sum of the elements that are numbers."""

def narrow(input: Any, dim: Any, start: Any, length: Any) -> Any:
    """The view of `length` positions of an axis, from `start`."""

def ne(input: Any, other: Any) -> Tensor:
    """Whether two differ, element by element."""

def neg(input: Any) -> Tensor:
    """The negative."""

def neg_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`neg`, in place."""

def negative(input: Any) -> Tensor:
    """The negative."""

def negative_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`neg`, in place."""

def nextafter(input: Any, other: Any) -> Tensor:
    """The next representable number from the first towards the second."""

def nonzero(input: Any, *, as_tuple: Any = False) -> Any:
    """The indices of the elements that are not 0, one row each; as_tuple: one vector per axis."""

def norm(input: Any, p: Any = 'fro', dim: Any = None, keepdim: Any = False, out: Any = None, dtype: Any = None) -> Tensor:
    """The p-norm of all elements, or along axes; 'fro' is the 2-norm."""

def not_equal(input: Any, other: Any) -> Tensor:
    """Whether two differ, element by element."""

def outer(input: Any, vec2: Any) -> Tensor:
    """All products of the elements of two vectors, as a matrix."""

def pairwise_distance(x1: Any, x2: Any, p: Any = 2.0, eps: Any = 1e-06, keepdim: Any = False) -> Tensor:
    """The p-norm of the difference of vectors, along the last axis; `eps` keeps it off 0."""

def pdist(input: Any, p: Any = 2.0) -> Tensor:
    """The p-norm of the difference of every two rows, as one vector: (0, 1), (0, 2), ..."""

def permute(input: Any, *dims: Any) -> Tensor:
    """The axes in another order."""

def pinverse(input: Any, rcond: Any = 1e-15) -> Any:
    """The Moore-Penrose inverse."""

def pixel_shuffle(input: Any, upscale_factor: Any) -> Tensor:
    """(*, C r², H, W) as (*, C, H r, W r): channels become pixels. Source: Shi et al. (2016)."""

def pixel_unshuffle(input: Any, downscale_factor: Any) -> Tensor:
    """(*, C, H r, W r) as (*, C r², H, W): pixels become channels."""

def polygamma(n: Any, input: Any) -> Tensor:
    """The n-th derivative of digamma."""

def positive(input: Any) -> Any:
    """The tensor itself; refuses booleans, as `+x` does."""

def pow(input: Any, exponent: Any) -> Tensor:
    """`input` to the power `exponent`."""

def prelu(input: Any, weight: Any) -> Tensor:
    """x where it is positive, a learned slope times x elsewhere: one slope, or one per channel."""

def prod(input: Any, dim: Any = None, keepdim: Any = False, *, dtype: Any = None) -> Tensor:
    """The product of all elements, or along an axis. Whole numbers multiply to int64."""

def psi(input: Any) -> Tensor:
    """The derivative of ln gamma."""

def psi_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`digamma`, in place."""

def put(input: Any, index: Any, source: Any, accumulate: Any = False) -> Any:
    """The input with `source` written (or added) at flat positions."""

def qr(input: Any, some: Any = True) -> Any:
    """Q with orthonormal columns and upper triangular R with Q R = input."""

def quantile(input: Any, q: Any, dim: Any = None, keepdim: Any = False, *, interpolation: Any = 'linear') -> Tensor:
    """The values below which shares `q` of the elements lie, interpolated between neighbours."""

def rad2deg(input: Any) -> Tensor:
    """Radians as degrees."""

def rad2deg_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`rad2deg`, in place."""

def ravel(input: Any) -> Any:
    """All elements in one row."""

def real(input: Any) -> Any:
    """The real part: of real numbers, the tensor itself."""

def reciprocal(input: Any) -> Tensor:
    """1 / x."""

def reciprocal_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`reciprocal`, in place."""

def relu(input: Any, inplace: Any = False) -> Tensor:
    """max(0, x); the gradient at 0 is 0."""

def relu_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`relu`, in place."""

def remainder(input: Any, other: Any) -> Tensor:
    """Remainder with the sign of the divisor, as Python's `%`."""

def renorm(input: Any, p: Any, dim: Any, maxnorm: Any) -> Tensor:
    """Slices along `dim` whose p-norm exceeds `maxnorm`, scaled down to it."""

def repeat_interleave(input: Any, repeats: Any = None, dim: Any = None, *, output_size: Any = None) -> Tensor:
    """Each element repeated, one number for all or one for each position along `dim`."""

def reshape(input: Any, *shape: Any) -> Tensor:
    """The same elements, row by row, in another shape; one size may be -1."""

def resolve_conj(input: Any) -> Any:
    """The complex conjugate: of real numbers, the tensor itself."""

def resolve_neg(input: Any) -> Any:
    """The complex conjugate: of real numbers, the tensor itself."""

def rms_norm(input: Any, normalized_shape: Any, weight: Any = None, eps: Any = None) -> Any:
    """x / sqrt(mean of x^2 + eps) over the trailing axes, times w."""

def rnn_relu(input: Any, hx: Any, params: Any, has_biases: Any, num_layers: Any, dropout: Any, train: Any, bidirectional: Any, batch_first: Any) -> Any:
    """A stack of Elman layers with ReLU over a sequence: (output, h_n)."""

def rnn_relu_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """One step of an Elman network with ReLU."""

def rnn_tanh(input: Any, hx: Any, params: Any, has_biases: Any, num_layers: Any, dropout: Any, train: Any, bidirectional: Any, batch_first: Any) -> Any:
    """A stack of Elman layers with tanh over a sequence: (output, h_n). Source: Elman (1990)."""

def rnn_tanh_cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """One step of an Elman network: tanh(W_ih x + b_ih + W_hh h + b_hh)."""

def roll(input: Any, shifts: Any, dims: Any = None) -> Tensor:
    """The elements moved along axes; what leaves at one end comes in at the other."""

def rot90(input: Any, k: Any = 1, dims: Any = ...) -> Tensor:
    """A plane turned by quarter turns, from the first of `dims` towards the second."""

def round(input: Any, *, decimals: Any = 0) -> Tensor:
    """The nearest whole number, halves to even; `decimals` digits are kept."""

def round_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`round`, in place."""

def row_stack(tensors: Any) -> Any:
    """Tensors joined along the first axis, vectors as rows."""

def rrelu(input: Any, lower: Any = 0.125, upper: Any = 0.3333333333333333, training: Any = False, inplace: Any = False) -> Tensor:
    """A leaky relu whose negative slopes are drawn from [lower, upper) in training."""

def rsqrt(input: Any) -> Tensor:
    """1 over the square root."""

def rsqrt_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`rsqrt`, in place."""

def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """`other` minus `alpha` times `input`."""

def scatter(input: Any, dim: Any, index: Any, src: Any = None, *, value: Any = None, reduce: Any = None) -> Tensor:
    """`input` with `src` (a tensor or number) written at `index` along `dim`."""

def scatter_add(input: Any, dim: Any, index: Any, src: Any) -> Tensor:
    """`input` with `src` added at `index` along `dim`; repeated indices add up."""

def scatter_reduce(input: Any, dim: Any, index: Any, src: Any, reduce: Any, *, include_self: Any = True) -> Tensor:
    """`input` with `src` reduced into it at `index`: 'sum', 'prod', 'mean', 'amax' or 'amin'."""

def searchsorted(sorted_sequence: Any, input: Any, *, out_int32: Any = False, right: Any = False, side: Any = None, sorter: Any = None) -> Tensor:
    """Where values would go into a sorted sequence (its last axis) to keep it sorted."""

def select(input: Any, dim: Any, index: Any) -> Any:
    """The view at one position of an axis."""

def select_scatter(input: Any, src: Any, dim: Any, index: Any) -> Any:
    """The input with `src` at one position of an axis."""

def selu(input: Any, inplace: Any = False) -> Tensor:
    """A scaled elu that keeps mean 0 and variance 1 through layers."""

def sgn(input: Any) -> Tensor:
    """-1, 0 or 1; its gradient is 0 everywhere."""

def sgn_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`sign`, in place."""

def sigmoid(input: Any) -> Tensor:
    """The logistic function 1 / (1 + e^-x), stable at both ends."""

def sigmoid_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`sigmoid`, in place."""

def sign(input: Any) -> Tensor:
    """-1, 0 or 1; its gradient is 0 everywhere."""

def sign_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`sign`, in place."""

def signbit(input: Any) -> Tensor:
    """Whether the sign is minus, that of -0 included."""

def signbit_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`signbit`, in place."""

def sin(input: Any) -> Tensor:
    """The sine."""

def sin_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`sin`, in place."""

def sinc(input: Any) -> Tensor:
    """sin(pi x) / (pi x), and 1 at 0."""

def sinc_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`sinc`, in place."""

def sinh(input: Any) -> Tensor:
    """The hyperbolic sine."""

def sinh_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`sinh`, in place."""

def slice_scatter(input: Any, src: Any, dim: Any = 0, start: Any = None, end: Any = None, step: Any = 1) -> Any:
    """The input with `src` in a slice of an axis."""

def slogdet(A: Any) -> Any:
    """The sign of the determinant and the natural logarithm of its absolute value."""

def softmax(input: Any, dim: Any = None, *, dtype: Any = None, _stacklevel: Any = 3) -> Tensor:
    """e^x along `dim`, divided by its sum."""

def sort(input: Any, dim: Any = -1, descending: Any = False, stable: Any = False) -> Any:
    """The elements of an axis in order, and the indices where they were; always stable."""

def split(tensor: Any, split_size_or_sections: Any, dim: Any = 0) -> Any:
    """Views of `tensor` cut along `dim`: pieces of one size (the last may be smaller) or of each"""

def split_with_sizes(input: Any, split_sizes: Any, dim: Any = 0) -> Any:
    """Views of `input` of the listed sizes along `dim`."""

def sqrt(input: Any) -> Tensor:
    """The square root; its gradient at 0 is infinite."""

def sqrt_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`sqrt`, in place."""

def square(input: Any) -> Tensor:
    """x times x."""

def square_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`square`, in place."""

def squeeze(input: Any, dim: Any = None) -> Tensor:
    """Without the axes of size 1, or without those of `dim` that are."""

def stack(tensors: Any, dim: Any = 0) -> Tensor:
    """Tensors of one shape joined along a new axis."""

def std(input: Any, dim: Any = None, unbiased: Any = None, keepdim: Any = False, *, correction: Any = None) -> Tensor:
    """The standard deviation: the root of the variance. Its gradient at 0 is 0."""

def std_mean(input: Any, dim: Any = None, unbiased: Any = None, keepdim: Any = False, *, correction: Any = None) -> Any:
    """The standard deviation and the mean."""

def sub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """Difference of two tensors; `alpha` scales the second."""

def subtract(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """Difference of two tensors; `alpha` scales the second."""

def sum(input: Any, dim: Any = None, keepdim: Any = False, *, dtype: Any = None) -> Tensor:
    """The sum of all elements, or along axes. Whole numbers and bools sum to int64."""

def svd(input: Any, some: Any = True, compute_uv: Any = True) -> Any:
    """U, S and V with input = U diag(S) Vᵀ."""

def swapaxes(input: Any, dim0: Any, dim1: Any) -> Any:
    """The view with two axes swapped."""

def swapdims(input: Any, dim0: Any, dim1: Any) -> Any:
    """The view with two axes swapped."""

def t(input: Any) -> Any:
    """The transpose of a matrix; a vector or number stays as it is."""

def take(input: Any, index: Any) -> Any:
    """The elements at flat positions, in the shape of the index."""

def take_along_dim(input: Any, indices: Any, dim: Any = None) -> Any:
    """`gather` with broadcasting; without `dim` by flat position."""

def tan(input: Any) -> Tensor:
    """The tangent."""

def tan_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`tan`, in place."""

def tanh(input: Any) -> Tensor:
    """The hyperbolic tangent, in (-1, 1)."""

def tanh_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`tanh`, in place."""

def tensor_split(input: Any, indices_or_sections: Any, dim: Any = 0) -> Any:
    """Views of `input` cut at indices, or into a number of nearly equal sections."""

def tensordot(a: Any, b: Any, dims: Any = 2, out: Any = None) -> Tensor:
    """The sum of products over pairs of axes: a number of them, or two lists."""

def threshold(input: Any, threshold: Any, value: Any, inplace: Any = False) -> Tensor:
    """x where it exceeds `threshold`, `value` elsewhere."""

def tile(input: Any, *dims: Any) -> Any:
    """The whole tensor repeated along each axis, the last axes if there are fewer numbers."""

def topk(input: Any, k: Any, dim: Any = -1, largest: Any = True, sorted: Any = True) -> Any:
    """The `k` largest (or smallest) elements of an axis, in order, and their indices."""

def trace(input: Any) -> Tensor:
    """The sum of the diagonal of a matrix."""

def transpose(input: Any, dim0: Any, dim1: Any) -> Any:
    """The view with two axes swapped."""

def trapezoid(y: Any, x: Any = None, *, dx: Any = 1, dim: Any = -1) -> Tensor:
    """The area under y by the trapezoid rule, over points `x` or steps `dx`."""

def trapz(y: Any, x: Any = None, *, dx: Any = 1, dim: Any = -1) -> Tensor:
    """The area under y by the trapezoid rule, over points `x` or steps `dx`."""

def triangular_solve(input: Any, A: Any, upper: Any = True, transpose: Any = False, unitriangular: Any = False) -> Any:
    """X with A X = input for a triangular A, and A itself."""

def tril(input: Any, diagonal: Any = 0) -> Tensor:
    """The elements on and below a diagonal, zeros above."""

def tril_indices(row: Any, col: Any, offset: Any = 0, *, dtype: Any = ..., device: Any = None, layout: Any = None) -> Any:
    """Rows and columns of a triangle, as a (2, count) tensor."""

def triplet_margin_loss(anchor: Any, positive: Any, negative: Any, margin: Any = 1.0, p: Any = 2, eps: Any = 1e-06, swap: Any = False, size_average: Any = None, reduce: Any = None, reduction: Any = 'mean') -> Tensor:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin), d being a p-norm."""

def triu(input: Any, diagonal: Any = 0) -> Tensor:
    """The elements on and above a diagonal, zeros below."""

def triu_indices(row: Any, col: Any, offset: Any = 0, *, dtype: Any = ..., device: Any = None, layout: Any = None) -> Any:
    """Rows and columns of a triangle, as a (2, count) tensor."""

def true_divide(input: Any, other: Any, *, rounding_mode: Any = None) -> Tensor:
    """Quotient of two tensors; `rounding_mode` is None, 'trunc' or 'floor'."""

def trunc(input: Any) -> Tensor:
    """x without its fraction; its gradient is 0."""

def trunc_(self: Any, *args: Any, **kwargs: Any) -> Tensor:
    """`trunc`, in place."""

def unbind(input: Any, dim: Any = 0) -> Any:
    """The views along an axis, one for each position."""

def unflatten(input: Any, dim: Any, sizes: Any) -> Any:
    """One axis split into several; one of the sizes may be -1."""

def unique(input: Any, sorted: Any = True, return_inverse: Any = False, return_counts: Any = False, dim: Any = None) -> Any:
    """The distinct elements, or slices of an axis, in order."""

def unique_consecutive(input: Any, return_inverse: Any = False, return_counts: Any = False, dim: Any = None) -> Any:
    """The first of each run of equal elements, or of equal slices of an axis."""

def unravel_index(indices: Any, shape: Any) -> Any:
    """Flat positions as one index tensor per axis."""

def unsafe_chunk(input: Any, chunks: Any, dim: Any = 0) -> Any:
    """At most `chunks` views of equal size along `dim`; the last may be smaller."""

def unsafe_split(tensor: Any, split_size_or_sections: Any, dim: Any = 0) -> Any:
    """Views of `tensor` cut along `dim`: pieces of one size (the last may be smaller) or of each"""

def unsafe_split_with_sizes(input: Any, split_sizes: Any, dim: Any = 0) -> Any:
    """Views of `input` of the listed sizes along `dim`."""

def unsqueeze(input: Any, dim: Any) -> Tensor:
    """A new axis of size 1 at `dim`."""

def vander(x: Any, N: Any = None, increasing: Any = False) -> Any:
    """The powers N - 1 to 0 of each element of a vector; `increasing` turns them round."""

def var(input: Any, dim: Any = None, unbiased: Any = None, keepdim: Any = False, *, correction: Any = None) -> Tensor:
    """The variance: the mean square distance from the mean, with n - correction for n."""

def var_mean(input: Any, dim: Any = None, unbiased: Any = None, keepdim: Any = False, *, correction: Any = None) -> Any:
    """The variance and the mean."""

def vdot(input: Any, other: Any) -> Tensor:
    """The sum of the products of two vectors."""

def vsplit(input: Any, indices_or_sections: Any) -> Any:
    """Views cut along the first axis, at indices or in equal sections."""

def vstack(tensors: Any) -> Any:
    """Tensors joined along the first axis, vectors as rows."""

def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    """`input` where the condition holds, `other` elsewhere."""

def xlogy(input: Any, other: Any) -> Tensor:
    """x ln y, and 0 where x is 0 and y is not NaN."""

