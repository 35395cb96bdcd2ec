"""Written by tools/stubs.py from the operator registry; a test keeps it fresh."""

from typing import Any

from backlit.tensor import Tensor

class TensorMethods:
    def __add__(self, other: Any) -> Tensor: ...
    def __radd__(self, other: Any) -> Tensor: ...
    def __iadd__(self, other: Any) -> Tensor: ...
    def __sub__(self, other: Any) -> Tensor: ...
    def __rsub__(self, other: Any) -> Tensor: ...
    def __isub__(self, other: Any) -> Tensor: ...
    def __mul__(self, other: Any) -> Tensor: ...
    def __rmul__(self, other: Any) -> Tensor: ...
    def __imul__(self, other: Any) -> Tensor: ...
    def __truediv__(self, other: Any) -> Tensor: ...
    def __rtruediv__(self, other: Any) -> Tensor: ...
    def __itruediv__(self, other: Any) -> Tensor: ...
    def __floordiv__(self, other: Any) -> Tensor: ...
    def __rfloordiv__(self, other: Any) -> Tensor: ...
    def __ifloordiv__(self, other: Any) -> Tensor: ...
    def __mod__(self, other: Any) -> Tensor: ...
    def __rmod__(self, other: Any) -> Tensor: ...
    def __imod__(self, other: Any) -> Tensor: ...
    def __pow__(self, other: Any) -> Tensor: ...
    def __rpow__(self, other: Any) -> Tensor: ...
    def __ipow__(self, other: Any) -> Tensor: ...
    def __and__(self, other: Any) -> Tensor: ...
    def __rand__(self, other: Any) -> Tensor: ...
    def __iand__(self, other: Any) -> Tensor: ...
    def __or__(self, other: Any) -> Tensor: ...
    def __ror__(self, other: Any) -> Tensor: ...
    def __ior__(self, other: Any) -> Tensor: ...
    def __xor__(self, other: Any) -> Tensor: ...
    def __rxor__(self, other: Any) -> Tensor: ...
    def __ixor__(self, other: Any) -> Tensor: ...
    def __lshift__(self, other: Any) -> Tensor: ...
    def __rlshift__(self, other: Any) -> Tensor: ...
    def __ilshift__(self, other: Any) -> Tensor: ...
    def __rshift__(self, other: Any) -> Tensor: ...
    def __rrshift__(self, other: Any) -> Tensor: ...
    def __irshift__(self, other: Any) -> Tensor: ...
    def __matmul__(self, other: Any) -> Tensor: ...
    def __rmatmul__(self, other: Any) -> Tensor: ...
    def __imatmul__(self, other: Any) -> Tensor: ...
    def __neg__(self) -> Tensor: ...
    def __pos__(self) -> Tensor: ...
    def __abs__(self) -> Tensor: ...
    def __invert__(self) -> Tensor: ...
    def __lt__(self, other: Any) -> Tensor: ...
    def __le__(self, other: Any) -> Tensor: ...
    def __gt__(self, other: Any) -> Tensor: ...
    def __ge__(self, other: Any) -> Tensor: ...
    def __eq__(self, other: Any) -> Tensor: ...  # type: ignore[override]
    def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]
    def __getitem__(self, index: Any) -> Tensor: ...
    def __setitem__(self, index: Any, value: Any) -> None: ...
    @property
    def T(self) -> Tensor: ...
    @property
    def mT(self) -> Tensor: ...
    @property
    def H(self) -> Tensor: ...
    @property
    def mH(self) -> Tensor: ...
    def abs(self) -> Tensor:
        """The absolute value; its gradient at 0 is 0."""

    def abs_(self) -> Tensor:
        """`abs`, in place."""

    def absolute(self) -> Tensor:
        """The absolute value; its gradient at 0 is 0."""

    def absolute_(self) -> Tensor:
        """`abs`, in place."""

    def acos(self) -> Tensor:
        """The inverse cosine."""

    def acos_(self) -> Tensor:
        """`acos`, in place."""

    def acosh(self) -> Tensor:
        """The inverse hyperbolic cosine."""

    def acosh_(self) -> Tensor:
        """`acosh`, in place."""

    def add(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """Sum of two tensors, element by element, with broadcasting; `alpha` scales the second."""

    def add_(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """`add`, in place."""

    def addbmm(self, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """beta * input + alpha * the sum of bmm(batch1, batch2) over the batch."""

    def addbmm_(self, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """`addbmm`, in place."""

    def addcdiv(self, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
        """x + value a / b."""

    def addcdiv_(self, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
        """`addcdiv`, in place."""

    def addcmul(self, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
        """x + value a b."""

    def addcmul_(self, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
        """`addcmul`, in place."""

    def addmm(self, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """beta * input + alpha * (mat1 @ mat2)."""

    def addmm_(self, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """`addmm`, in place."""

    def addmv(self, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """beta * input + alpha * (mat @ vec)."""

    def addmv_(self, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """`addmv`, in place."""

    def addr(self, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """beta * input + alpha * outer(vec1, vec2)."""

    def addr_(self, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """`addr`, in place."""

    def adjoint(self) -> Any:
        """The last two axes swapped."""

    def all(self, dim: Any = None, keepdim: Any = False) -> Tensor:
        """Whether every element is not 0."""

    def allclose(self, other: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: Any = False) -> Any:
        """Whether all elements are close; see `isclose`."""

    def amax(self, dim: Any = ..., keepdim: Any = False) -> Tensor:
        """The largest element along axes; ties share the gradient evenly. NaN counts as largest."""

    def amin(self, dim: Any = ..., keepdim: Any = False) -> Tensor:
        """The smallest element along axes; ties share the gradient evenly. NaN counts as smallest."""

    def aminmax(self, *, dim: Any = None, keepdim: Any = False) -> Any:
        """The smallest and the largest element, of all or along one axis."""

    def angle(self) -> Tensor:
        """The angle in the complex plane: pi for negative numbers, 0 for others, NaN for NaN."""

    def angle_(self) -> Tensor:
        """`angle`, in place."""

    def any(self, dim: Any = None, keepdim: Any = False) -> Tensor:
        """Whether any element is not 0."""

    def arccos(self) -> Tensor:
        """The inverse cosine."""

    def arccos_(self) -> Tensor:
        """`acos`, in place."""

    def arccosh(self) -> Tensor:
        """The inverse hyperbolic cosine."""

    def arccosh_(self) -> Tensor:
        """`acosh`, in place."""

    def arcsin(self) -> Tensor:
        """The inverse sine."""

    def arcsin_(self) -> Tensor:
        """`asin`, in place."""

    def arcsinh(self) -> Tensor:
        """The inverse hyperbolic sine."""

    def arcsinh_(self) -> Tensor:
        """`asinh`, in place."""

    def arctan(self) -> Tensor:
        """The inverse tangent."""

    def arctan2(self, other: Any) -> Tensor:
        """The angle of the point (other, input), in radians from -pi to pi."""

    def arctan2_(self, other: Any) -> Tensor:
        """`atan2`, in place."""

    def arctan_(self) -> Tensor:
        """`atan`, in place."""

    def arctanh(self) -> Tensor:
        """The inverse hyperbolic tangent."""

    def arctanh_(self) -> Tensor:
        """`atanh`, in place."""

    def argmax(self, dim: Any = None, keepdim: Any = False) -> Tensor:
        """The index of the largest element: in the flat tensor, or along `dim`. The first of ties."""

    def argmin(self, dim: Any = None, keepdim: Any = False) -> Tensor:
        """The index of the smallest element: in the flat tensor, or along `dim`. The first of ties."""

    def argsort(self, dim: Any = -1, descending: Any = False, stable: Any = False) -> Tensor:
        """The indices that sort an axis; always stable."""

    def argwhere(self) -> Any:
        """The indices of the elements that are not 0, one row each."""

    def asin(self) -> Tensor:
        """The inverse sine."""

    def asin_(self) -> Tensor:
        """`asin`, in place."""

    def asinh(self) -> Tensor:
        """The inverse hyperbolic sine."""

    def asinh_(self) -> Tensor:
        """`asinh`, in place."""

    def atan(self) -> Tensor:
        """The inverse tangent."""

    def atan2(self, other: Any) -> Tensor:
        """The angle of the point (other, input), in radians from -pi to pi."""

    def atan2_(self, other: Any) -> Tensor:
        """`atan2`, in place."""

    def atan_(self) -> Tensor:
        """`atan`, in place."""

    def atanh(self) -> Tensor:
        """The inverse hyperbolic tangent."""

    def atanh_(self) -> Tensor:
        """`atanh`, in place."""

    def baddbmm(self, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """beta * input + alpha * bmm(batch1, batch2)."""

    def baddbmm_(self, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
        """`baddbmm`, in place."""

    def bernoulli(self, p: Any = None, *, generator: Any = None) -> Any:
        """1 with the probability that each element, or `p`, says; else 0."""

    def bernoulli_(self, p: Any = None, *, generator: Any = None) -> Tensor:
        """Refill with 1 at probability p, else 0."""

    def bfloat16(self, memory_format: Any = None) -> Any:
        """The tensor in bfloat16."""

    def bincount(self, weights: Any = None, minlength: Any = 0) -> Tensor:
        """How often each whole number from 0 on occurs; with `weights` the sums of their weights."""

    def bitwise_and(self, other: Any) -> Tensor:
        """Bits that are set in both; of bools, whether both hold. The operator `&`."""

    def bitwise_and_(self, other: Any) -> Tensor:
        """`bitwise_and`, in place."""

    def bitwise_left_shift(self, other: Any) -> Tensor:
        """The bits moved up by `other` places. The operator `<<`."""

    def bitwise_left_shift_(self, other: Any) -> Tensor:
        """`bitwise_left_shift`, in place."""

    def bitwise_not(self) -> Tensor:
        """The complement of every bit; of bools, the contrary. The operator `~`."""

    def bitwise_not_(self) -> Tensor:
        """`bitwise_not`, in place."""

    def bitwise_or(self, other: Any) -> Tensor:
        """Bits that are set in at least one; of bools, whether one holds. The operator `|`."""

    def bitwise_or_(self, other: Any) -> Tensor:
        """`bitwise_or`, in place."""

    def bitwise_right_shift(self, other: Any) -> Tensor:
        """The bits moved down by `other` places, keeping the sign. The operator `>>`."""

    def bitwise_right_shift_(self, other: Any) -> Tensor:
        """`bitwise_right_shift`, in place."""

    def bitwise_xor(self, other: Any) -> Tensor:
        """Bits that are set in exactly one; of bools, whether they differ. The operator `^`."""

    def bitwise_xor_(self, other: Any) -> Tensor:
        """`bitwise_xor`, in place."""

    def bmm(self, mat2: Any) -> Any:
        """The products of two batches of matrices, of equal size."""

    def bool(self, memory_format: Any = None) -> Any:
        """The tensor in bool."""

    def broadcast_to(self, size: Any) -> Any:
        """Repeated along axes of size 1, without copying."""

    def byte(self, memory_format: Any = None) -> Any:
        """The tensor in uint8."""

    def ceil(self) -> Tensor:
        """The smallest whole number not below x; its gradient is 0."""

    def ceil_(self) -> Tensor:
        """`ceil`, in place."""

    def char(self, memory_format: Any = None) -> Any:
        """The tensor in int8."""

    def cholesky(self, upper: Any = False) -> Tensor:
        """The lower triangular L with L Lᵀ = A, for symmetric positive definite A."""

    def cholesky_inverse(self, upper: Any = False) -> Tensor:
        """The inverse of A, given its Cholesky factor."""

    def cholesky_solve(self, L: Any, upper: Any = False) -> Tensor:
        """X with A X = input, given the Cholesky factor of A."""

    def chunk(self, chunks: Any, dim: Any = 0) -> Any:
        """At most `chunks` views of equal size along `dim`; the last may be smaller."""

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """Limit every element to the range from `min` to `max`, numbers or tensors."""

    def clamp_(self, min: Any = None, max: Any = None) -> Tensor:
        """`clamp`, in place."""

    def clamp_max(self, max: Any) -> Any:
        """Limit every element from above."""

    def clamp_max_(self, max: Any) -> Tensor:
        """`clamp_max`, in place."""

    def clamp_min(self, min: Any) -> Any:
        """Limit every element from below."""

    def clamp_min_(self, min: Any) -> Tensor:
        """`clamp_min`, in place."""

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        """Limit every element to the range from `min` to `max`, numbers or tensors."""

    def clip_(self, min: Any = None, max: Any = None) -> Tensor:
        """`clamp`, in place."""

    def clone(self, *, memory_format: Any = None) -> Tensor:
        """The same values in a cell of their own."""

    def conj(self) -> Any:
        """The complex conjugate: of real numbers, the tensor itself."""

    def conj_physical(self) -> Any:
        """The complex conjugate: of real numbers, the tensor itself."""

    def contiguous(self, memory_format: Any = None) -> Any:
        """The tensor itself: how it lies in memory is not part of its meaning."""

    def copy_(self, source: Any, non_blocking: Any = False) -> Tensor:
        """Refill with the values of another tensor, broadcast and converted."""

    def copysign(self, other: Any) -> Tensor:
        """The size of the first with the sign of the second."""

    def copysign_(self, other: Any) -> Tensor:
        """`copysign`, in place."""

    def corrcoef(self) -> Tensor:
        """The correlations of variables (rows) over observations (columns), in [-1, 1]."""

    def cos(self) -> Tensor:
        """The cosine."""

    def cos_(self) -> Tensor:
        """`cos`, in place."""

    def cosh(self) -> Tensor:
        """The hyperbolic cosine."""

    def cosh_(self) -> Tensor:
        """`cosh`, in place."""

    def count_nonzero(self, dim: Any = None) -> Tensor:
        """How many elements are not 0, in all or along axes."""

    def cov(self, *, correction: Any = 1, fweights: Any = None, aweights: Any = None) -> Tensor:
        """The covariances of variables (rows) over observations (columns)."""

    def cpu(self, memory_format: Any = None) -> Any:
        """The tensor itself: it lives on the CPU."""

    def cross(self, other: Any, dim: Any = None) -> Tensor:
        """The cross product of vectors of three elements along an axis."""

    def cuda(self, *args: Any, **kwargs: Any) -> Any:
        """Says that there is no GPU backend."""

    def cummax(self, dim: Any) -> Any:
        """The largest elements so far along an axis, and the indices of the last to reach them."""

    def cummin(self, dim: Any) -> Any:
        """The smallest elements so far along an axis, and the indices of the last to reach them."""

    def cumprod(self, dim: Any, *, dtype: Any = None) -> Tensor:
        """Products of the elements so far, along an axis. Whole numbers multiply to int64."""

    def cumprod_(self, dim: Any, *, dtype: Any = None) -> Tensor:
        """`cumprod`, in place."""

    def cumsum(self, dim: Any, *, dtype: Any = None) -> Tensor:
        """Sums of the elements so far, along an axis. Whole numbers sum to int64."""

    def cumsum_(self, dim: Any, *, dtype: Any = None) -> Tensor:
        """`cumsum`, in place."""

    def deg2rad(self) -> Tensor:
        """Degrees as radians."""

    def deg2rad_(self) -> Tensor:
        """`deg2rad`, in place."""

    def det(self) -> Tensor:
        """The determinant of square matrices; its gradient is the matrix of cofactors."""

    def diag(self, diagonal: Any = 0) -> Tensor:
        """A vector as a diagonal matrix, or the diagonal of a matrix."""

    def diag_embed(self, offset: Any = 0, dim1: Any = -2, dim2: Any = -1) -> Tensor:
        """Matrices with the last axis of the input on a diagonal, zeros elsewhere."""

    def diagflat(self, offset: Any = 0) -> Any:
        """All elements of the input on the diagonal of a matrix."""

    def diagonal(self, offset: Any = 0, dim1: Any = 0, dim2: Any = 1) -> Tensor:
        """The view of a diagonal of the plane `dim1`, `dim2`, as the last axis."""

    def diagonal_scatter(self, src: Any, offset: Any = 0, dim1: Any = 0, dim2: Any = 1) -> Any:
        """The input with `src` on a diagonal."""

    def diff(self, n: Any = 1, dim: Any = -1, prepend: Any = None, append: Any = None) -> Tensor:
        """Differences of neighbours along an axis, `n` times over."""

    def digamma(self) -> Tensor:
        """The derivative of ln gamma."""

    def digamma_(self) -> Tensor:
        """`digamma`, in place."""

    def dist(self, other: Any, p: Any = 2) -> Tensor:
        """The p-norm of the difference of two tensors."""

    def div(self, other: Any, *, rounding_mode: Any = None) -> Tensor:
        """Quotient of two tensors; `rounding_mode` is None, 'trunc' or 'floor'."""

    def div_(self, other: Any, *, rounding_mode: Any = None) -> Tensor:
        """`div`, in place."""

    def divide(self, other: Any, *, rounding_mode: Any = None) -> Tensor:
        """Quotient of two tensors; `rounding_mode` is None, 'trunc' or 'floor'."""

    def divide_(self, other: Any, *, rounding_mode: Any = None) -> Tensor:
        """`div`, in place."""

    def dot(self, other: Any) -> Tensor:
        """The sum of the products of two vectors."""

    def double(self, memory_format: Any = None) -> Any:
        """The tensor in float64."""

    def dsplit(self, indices_or_sections: Any) -> Any:
        """Views cut along the third axis, at indices or in equal sections."""

    def eq(self, other: Any) -> Tensor:
        """Whether two are equal, element by element."""

    def eq_(self, other: Any) -> Tensor:
        """`eq`, in place."""

    def equal(self, other: Any) -> Any:
        """Whether two tensors have the same shape and the same elements."""

    def erf(self) -> Tensor:
        """The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x."""

    def erf_(self) -> Tensor:
        """`erf`, in place."""

    def erfc(self) -> Tensor:
        """1 - erf(x), with all digits in the tail."""

    def erfc_(self) -> Tensor:
        """`erfc`, in place."""

    def erfinv(self) -> Tensor:
        """The number whose error function is x, for x in [-1, 1]."""

    def erfinv_(self) -> Tensor:
        """`erfinv`, in place."""

    def exp(self) -> Tensor:
        """e to the power x."""

    def exp2(self) -> Tensor:
        """2 to the power x."""

    def exp2_(self) -> Tensor:
        """`exp2`, in place."""

    def exp_(self) -> Tensor:
        """`exp`, in place."""

    def expand(self, *sizes: Any) -> Tensor:
        """Repeat along axes of size 1, without copying; -1 keeps a size."""

    def expand_as(self, other: Any) -> Any:
        """Repeated along axes of size 1 to the shape of another tensor."""

    def expit(self) -> Tensor:
        """The logistic function 1 / (1 + e^-x), stable at both ends."""

    def expit_(self) -> Tensor:
        """`sigmoid`, in place."""

    def expm1(self) -> Tensor:
        """e to the power x, minus 1, exact for small x."""

    def expm1_(self) -> Tensor:
        """`expm1`, in place."""

    def exponential_(self, *args: Any, generator: Any = None, **kwargs: Any) -> Tensor:
        """Refill with exponential random numbers."""

    def fill_(self, value: Any) -> Tensor:
        """Refill with one value everywhere."""

    def fill_diagonal_(self, fill_value: Any, wrap: Any = False) -> Tensor:
        """One value on the main diagonal, in place."""

    def fix(self) -> Tensor:
        """x without its fraction; its gradient is 0."""

    def fix_(self) -> Tensor:
        """`trunc`, in place."""

    def flatten(self, start_dim: Any = 0, end_dim: Any = -1) -> Any:
        """The axes from `start_dim` to `end_dim` as one."""

    def flip(self, *dims: Any) -> Tensor:
        """The elements in reverse order along axes."""

    def fliplr(self) -> Any:
        """The columns in reverse order."""

    def flipud(self) -> Any:
        """The rows in reverse order."""

    def float(self, memory_format: Any = None) -> Any:
        """The tensor in float32."""

    def float_power(self, exponent: Any) -> Tensor:
        """A power computed in float64."""

    def float_power_(self, exponent: Any) -> Tensor:
        """`float_power`, in place."""

    def floor(self) -> Tensor:
        """The largest whole number not above x; its gradient is 0."""

    def floor_(self) -> Tensor:
        """`floor`, in place."""

    def floor_divide(self, other: Any) -> Tensor:
        """Quotient rounded towards minus infinity."""

    def floor_divide_(self, other: Any) -> Tensor:
        """`floor_divide`, in place."""

    def fmax(self, other: Any) -> Tensor:
        """The larger of two; a NaN gives way to a number."""

    def fmax_(self, other: Any) -> Tensor:
        """`fmax`, in place."""

    def fmin(self, other: Any) -> Tensor:
        """The smaller of two; a NaN gives way to a number."""

    def fmin_(self, other: Any) -> Tensor:
        """`fmin`, in place."""

    def fmod(self, other: Any) -> Tensor:
        """Remainder with the sign of the dividend, as C's fmod."""

    def fmod_(self, other: Any) -> Tensor:
        """`fmod`, in place."""

    def frac(self) -> Tensor:
        """The fraction of x, with its sign."""

    def frac_(self) -> Tensor:
        """`frac`, in place."""

    def gather(self, dim: Any, index: Any, *, sparse_grad: Any = False) -> Tensor:
        """`out[i][j] = input[index[i][j]][j]` along `dim`, as index and input agree elsewhere."""

    def gcd(self, other: Any) -> Tensor:
        """The greatest common divisor; gcd(0, 0) is 0."""

    def gcd_(self, other: Any) -> Tensor:
        """`gcd`, in place."""

    def ge(self, other: Any) -> Tensor:
        """Whether the first is larger or equal."""

    def ge_(self, other: Any) -> Tensor:
        """`ge`, in place."""

    def ger(self, vec2: Any) -> Tensor:
        """All products of the elements of two vectors, as a matrix."""

    def get_device(self) -> Any:
        """-1: the tensor lives on the CPU; GPUs are numbered from 0."""

    def greater(self, other: Any) -> Tensor:
        """Whether the first is larger."""

    def greater_(self, other: Any) -> Tensor:
        """`gt`, in place."""

    def greater_equal(self, other: Any) -> Tensor:
        """Whether the first is larger or equal."""

    def greater_equal_(self, other: Any) -> Tensor:
        """`ge`, in place."""

    def gt(self, other: Any) -> Tensor:
        """Whether the first is larger."""

    def gt_(self, other: Any) -> Tensor:
        """`gt`, in place."""

    def half(self, memory_format: Any = None) -> Any:
        """The tensor in float16."""

    def hardshrink(self, lambd: Any = 0.5) -> Tensor:
        """x, but 0 from -lambd to lambd."""

    def hardshrink_(self, lambd: Any = 0.5) -> Tensor:
        """`hardshrink`, in place."""

    def heaviside(self, values: Any) -> Tensor:
        """0 below 0, 1 above, and `values` at 0."""

    def heaviside_(self, values: Any) -> Tensor:
        """`heaviside`, in place."""

    def histc(self, bins: Any = 100, min: Any = 0, max: Any = 0) -> Tensor:
        """How many elements fall into each of `bins` equal bins from `min` to `max`."""

    def hsplit(self, indices_or_sections: Any) -> Any:
        """Views cut along the second axis (vectors: the only one), at indices or in equal sections."""

    def hypot(self, other: Any) -> Tensor:
        """The hypotenuse: the root of a^2 + b^2, without overflow on the way."""

    def hypot_(self, other: Any) -> Tensor:
        """`hypot`, in place."""

    def index_add(self, dim: Any, index: Any, source: Any, *, alpha: Any = 1) -> Tensor:
        """`input` with the slices of `source`, times `alpha`, added at an index vector along `dim`."""

    def index_add_(self, dim: Any, index: Any, source: Any, *, alpha: Any = 1) -> Tensor:
        """`index_add`, in place."""

    def index_copy(self, dim: Any, index: Any, source: Any) -> Any:
        """The input with the slices of `source` written at an index vector along `dim`."""

    def index_copy_(self, dim: Any, index: Any, source: Any) -> Tensor:
        """`index_copy`, in place."""

    def index_fill(self, dim: Any, index: Any, value: Any) -> Any:
        """The input with one value in the slices that an index vector names."""

    def index_fill_(self, dim: Any, index: Any, value: Any) -> Tensor:
        """`index_fill`, in place."""

    def index_put(self, indices: Any, values: Any, accumulate: Any = False) -> Any:
        """The input with `values` written (or added) where the index tensors point."""

    def index_put_(self, indices: Any, values: Any, accumulate: Any = False) -> Tensor:
        """`index_put`, in place."""

    def index_reduce(self, dim: Any, index: Any, source: Any, reduce: Any, *, include_self: Any = True) -> Tensor:
        """`input` with slices of `source` reduced into it: 'prod', 'mean', 'amax' or 'amin'."""

    def index_reduce_(self, dim: Any, index: Any, source: Any, reduce: Any, *, include_self: Any = True) -> Tensor:
        """`index_reduce`, in place."""

    def index_select(self, dim: Any, index: Any) -> Tensor:
        """The slices of an axis that an index vector names."""

    def inner(self, other: Any) -> Tensor:
        """The products over the last axes: of every row of one with every row of the other."""

    def int(self, memory_format: Any = None) -> Any:
        """The tensor in int32."""

    def inv(self) -> Tensor:
        """The inverse of square matrices."""

    def inverse(self) -> Tensor:
        """The inverse of square matrices."""

    def isclose(self, other: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: Any = False) -> Tensor:
        """Whether |a - b| <= atol + rtol |b|; equal infinities are close."""

    def isclose_(self, other: Any, rtol: Any = 1e-05, atol: Any = 1e-08, equal_nan: Any = False) -> Tensor:
        """`isclose`, in place."""

    def isfinite(self) -> Tensor:
        """Whether an element is neither infinite nor NaN."""

    def isfinite_(self) -> Tensor:
        """`isfinite`, in place."""

    def isinf(self) -> Tensor:
        """Whether an element is infinite."""

    def isinf_(self) -> Tensor:
        """`isinf`, in place."""

    def isnan(self) -> Tensor:
        """Whether an element is NaN."""

    def isnan_(self) -> Tensor:
        """`isnan`, in place."""

    def isneginf(self) -> Tensor:
        """Whether an element is minus infinity."""

    def isneginf_(self) -> Tensor:
        """`isneginf`, in place."""

    def isposinf(self) -> Tensor:
        """Whether an element is plus infinity."""

    def isposinf_(self) -> Tensor:
        """`isposinf`, in place."""

    def isreal(self) -> Tensor:
        """Whether an element has no imaginary part: always."""

    def isreal_(self) -> Tensor:
        """`isreal`, in place."""

    def kron(self, other: Any) -> Tensor:
        """The Kronecker product: every element of the first times the whole second."""

    def kthvalue(self, k: Any, dim: Any = -1, keepdim: Any = False) -> Any:
        """The `k`-th smallest element of an axis, counted from 1, and its index."""

    def lcm(self, other: Any) -> Tensor:
        """The least common multiple; 0 where one is 0."""

    def lcm_(self, other: Any) -> Tensor:
        """`lcm`, in place."""

    def ldexp(self, other: Any) -> Tensor:
        """x times 2 to the power `other`."""

    def ldexp_(self, other: Any) -> Tensor:
        """`ldexp`, in place."""

    def le(self, other: Any) -> Tensor:
        """Whether the first is smaller or equal."""

    def le_(self, other: Any) -> Tensor:
        """`le`, in place."""

    def lerp(self, end: Any, weight: Any) -> Tensor:
        """a + w (b - a): from the first (w = 0) to the second (w = 1)."""

    def lerp_(self, end: Any, weight: Any) -> Tensor:
        """`lerp`, in place."""

    def less(self, other: Any) -> Tensor:
        """Whether the first is smaller."""

    def less_(self, other: Any) -> Tensor:
        """`lt`, in place."""

    def less_equal(self, other: Any) -> Tensor:
        """Whether the first is smaller or equal."""

    def less_equal_(self, other: Any) -> Tensor:
        """`le`, in place."""

    def lgamma(self) -> Tensor:
        """The logarithm of the absolute value of the gamma function."""

    def lgamma_(self) -> Tensor:
        """`lgamma`, in place."""

    def log(self) -> Tensor:
        """The natural logarithm."""

    def log10(self) -> Tensor:
        """The logarithm to base 10."""

    def log10_(self) -> Tensor:
        """`log10`, in place."""

    def log1p(self) -> Tensor:
        """The natural logarithm of 1 + x, exact for small x."""

    def log1p_(self) -> Tensor:
        """`log1p`, in place."""

    def log2(self) -> Tensor:
        """The logarithm to base 2."""

    def log2_(self) -> Tensor:
        """`log2`, in place."""

    def log_(self) -> Tensor:
        """`log`, in place."""

    def log_softmax(self, dim: Any = None, *, dtype: Any = None, _stacklevel: Any = 3) -> Tensor:
        """The logarithm of softmax, finite where softmax itself would round to 0."""

    def logaddexp(self, other: Any) -> Tensor:
        """ln(e^a + e^b), finite for any size."""

    def logaddexp2(self, other: Any) -> Tensor:
        """The logarithm to base 2 of 2^a + 2^b."""

    def logaddexp2_(self, other: Any) -> Tensor:
        """`logaddexp2`, in place."""

    def logaddexp_(self, other: Any) -> Tensor:
        """`logaddexp`, in place."""

    def logcumsumexp(self, dim: Any) -> Tensor:
        """ln of the sums of e^x so far, along an axis, finite for any size of x."""

    def logdet(self) -> Tensor:
        """The logarithm of the determinant: NaN where it is negative, -inf where it is 0."""

    def logical_and(self, other: Any) -> Tensor:
        """Whether both hold (are not 0)."""

    def logical_and_(self, other: Any) -> Tensor:
        """`logical_and`, in place."""

    def logical_not(self) -> Tensor:
        """Whether it does not hold (is 0)."""

    def logical_not_(self) -> Tensor:
        """`logical_not`, in place."""

    def logical_or(self, other: Any) -> Tensor:
        """Whether at least one holds (is not 0)."""

    def logical_or_(self, other: Any) -> Tensor:
        """`logical_or`, in place."""

    def logical_xor(self, other: Any) -> Tensor:
        """Whether exactly one holds (is not 0)."""

    def logical_xor_(self, other: Any) -> Tensor:
        """`logical_xor`, in place."""

    def logit(self, eps: Any = None) -> Tensor:
        """ln(x / (1 - x)), the inverse of the sigmoid; `eps` first limits x to [eps, 1 - eps]."""

    def logit_(self, eps: Any = None) -> Tensor:
        """`logit`, in place."""

    def logsumexp(self, dim: Any, keepdim: Any = False) -> Tensor:
        """ln of the sum of e^x along axes, finite for any size of x."""

    def long(self, memory_format: Any = None) -> Any:
        """The tensor in int64."""

    def lt(self, other: Any) -> Tensor:
        """Whether the first is smaller."""

    def lt_(self, other: Any) -> Tensor:
        """`lt`, in place."""

    def masked_fill(self, mask: Any, value: Any) -> Tensor:
        """`input` with one `value` wherever the bool `mask` holds."""

    def masked_fill_(self, mask: Any, value: Any) -> Tensor:
        """`masked_fill`, in place."""

    def masked_scatter(self, mask: Any, source: Any) -> Any:
        """The input with the elements of `source`, in order, where the mask holds."""

    def masked_scatter_(self, mask: Any, source: Any) -> Tensor:
        """`masked_scatter`, in place."""

    def masked_select(self, mask: Any) -> Any:
        """The elements where the mask holds, as a vector."""

    def matmul(self, other: Any) -> Tensor:
        """The matrix product; vectors are rows or columns as needed, leading axes broadcast."""

    def matrix_exp(self) -> Tensor:
        """The exponential of square matrices, by scaling, a Taylor series and squaring."""

    def matrix_power(self, n: Any) -> Tensor:
        """A square matrix multiplied with itself n times; of a negative n the inverse."""

    def max(self, dim: Any = None, keepdim: Any = False, *, other: Any = None) -> Any:
        """The largest element; along `dim` also its index; of two tensors, element by element."""

    def maximum(self, other: Any) -> Tensor:
        """The larger of two, element by element; a tie shares the gradient in halves."""

    def maximum_(self, other: Any) -> Tensor:
        """`maximum`, in place."""

    def mean(self, dim: Any = None, keepdim: Any = False, *, dtype: Any = None) -> Tensor:
        """The mean of all elements, or along axes; of nothing it is NaN."""

    def median(self, dim: Any = None, keepdim: Any = False) -> Any:
        """The lower median of all elements; along `dim` also its index. With a NaN it is NaN."""

    def min(self, dim: Any = None, keepdim: Any = False, *, other: Any = None) -> Any:
        """The smallest element; along `dim` also its index; of two tensors, element by element."""

    def minimum(self, other: Any) -> Tensor:
        """The smaller of two, element by element; a tie shares the gradient in halves."""

    def minimum_(self, other: Any) -> Tensor:
        """`minimum`, in place."""

    def mm(self, mat2: Any) -> Any:
        """The product of two matrices."""

    def mode(self, dim: Any = -1, keepdim: Any = False) -> Any:
        """The most frequent value along an axis, the smallest of several, and its last index."""

    def moveaxis(self, source: Any, destination: Any) -> Any:
        """Axes moved to other positions; the rest keep their order."""

    def movedim(self, source: Any, destination: Any) -> Any:
        """Axes moved to other positions; the rest keep their order."""

    def mps(self, *args: Any, **kwargs: Any) -> Any:
        """Says that there is no GPU backend."""

    def msort(self) -> Any:
        """The rows sorted along the first axis."""

    def mul(self, other: Any) -> Tensor:
        """Product of two tensors, element by element (the Hadamard product)."""

    def mul_(self, other: Any) -> Tensor:
        """`mul`, in place."""

    def multigammaln(self, p: Any) -> Tensor:
        """The logarithm of the multivariate gamma function of dimension p."""

    def multinomial(self, num_samples: Any, replacement: Any = False, *, generator: Any = None) -> Any:
        """Indices drawn with the weights of each row."""

    def multiply(self, other: Any) -> Tensor:
        """Product of two tensors, element by element (the Hadamard product)."""

    def multiply_(self, other: Any) -> Tensor:
        """`mul`, in place."""

    def mv(self, vec: Any) -> Any:
        """The product of a matrix and a vector."""

    def mvlgamma(self, p: Any) -> Tensor:
        """The logarithm of the multivariate gamma function of dimension p."""

    def nan_to_num(self, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Tensor:
        """NaN as 0 (`nan`), infinities as the largest numbers of the dtype (`posinf`, `neginf`)."""

    def nan_to_num_(self, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Tensor:
        """`nan_to_num`, in place."""

    def nanmean(self, dim: Any = None, keepdim: Any = False, *, dtype: Any = None) -> Tensor:
        """The mean of the elements that are numbers."""

    def nanmedian(self, dim: Any = None, keepdim: Any = False) -> Any:
        """The lower median of the elements that are numbers; along `dim` also its index."""

    def nanquantile(self, q: Any, dim: Any = None, keepdim: Any = False, *, interpolation: Any = 'linear') -> Tensor:
        """Quantiles of the elements that are numbers."""

    def nansum(self, dim: Any = None, keepdim: Any = False, *, dtype: Any = None) -> Tensor:
        """The sum of the elements that are numbers."""

    def narrow(self, dim: Any, start: Any, length: Any) -> Any:
        """The view of `length` positions of an axis, from `start`."""

    def ne(self, other: Any) -> Tensor:
        """Whether two differ, element by element."""

    def ne_(self, other: Any) -> Tensor:
        """`ne`, in place."""

    def neg(self) -> Tensor:
        """The negative."""

    def neg_(self) -> Tensor:
        """`neg`, in place."""

    def negative(self) -> Tensor:
        """The negative."""

    def negative_(self) -> Tensor:
        """`neg`, in place."""

    def new(self, *data: Any) -> Any:
        """The older form of `new_tensor` (from data) and `new_empty` (from sizes)."""

    def new_empty(self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: Any = False) -> Any:
        """A tensor of the same dtype, filled with 0."""

    def new_full(self, size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False) -> Any:
        """A tensor of the same dtype, filled with one value."""

    def new_ones(self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: Any = False) -> Any:
        """A tensor of the same dtype, filled with 1."""

    def new_tensor(self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False) -> Any:
        """A tensor of the same dtype with other data."""

    def new_zeros(self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: Any = False) -> Any:
        """A tensor of the same dtype, filled with 0."""

    def nextafter(self, other: Any) -> Tensor:
        """The next representable number from the first towards the second."""

    def nextafter_(self, other: Any) -> Tensor:
        """`nextafter`, in place."""

    def nonzero(self, *, as_tuple: Any = False) -> Any:
        """The indices of the elements that are not 0, one row each; as_tuple: one vector per axis."""

    def norm(self, p: Any = 'fro', dim: Any = None, keepdim: Any = False, out: Any = None, dtype: Any = None) -> Tensor:
        """The p-norm of all elements, or along axes; 'fro' is the 2-norm."""

    def normal_(self, *args: Any, generator: Any = None, **kwargs: Any) -> Tensor:
        """Refill with normal random numbers."""

    def not_equal(self, other: Any) -> Tensor:
        """Whether two differ, element by element."""

    def not_equal_(self, other: Any) -> Tensor:
        """`ne`, in place."""

    def outer(self, vec2: Any) -> Tensor:
        """All products of the elements of two vectors, as a matrix."""

    def permute(self, *dims: Any) -> Tensor:
        """The axes in another order."""

    def pin_memory(self, device: Any = None) -> Any:
        """The tensor itself."""

    def pinverse(self, rcond: Any = 1e-15) -> Any:
        """The Moore-Penrose inverse."""

    def polygamma(self, n: Any) -> Any:
        """The n-th derivative of digamma, of the tensor itself."""

    def positive(self) -> Any:
        """The tensor itself; refuses booleans, as `+x` does."""

    def pow(self, exponent: Any) -> Tensor:
        """`input` to the power `exponent`."""

    def pow_(self, exponent: Any) -> Tensor:
        """`pow`, in place."""

    def prelu(self, weight: Any) -> Tensor:
        """x where it is positive, a learned slope times x elsewhere: one slope, or one per channel."""

    def prod(self, dim: Any = None, keepdim: Any = False, *, dtype: Any = None) -> Tensor:
        """The product of all elements, or along an axis. Whole numbers multiply to int64."""

    def psi(self) -> Tensor:
        """The derivative of ln gamma."""

    def psi_(self) -> Tensor:
        """`digamma`, in place."""

    def put(self, index: Any, source: Any, accumulate: Any = False) -> Any:
        """The input with `source` written (or added) at flat positions."""

    def put_(self, index: Any, source: Any, accumulate: Any = False) -> Tensor:
        """`put`, in place."""

    def qr(self, some: Any = True) -> Any:
        """Q with orthonormal columns and upper triangular R with Q R = input."""

    def quantile(self, q: Any, dim: Any = None, keepdim: Any = False, *, interpolation: Any = 'linear') -> Tensor:
        """The values below which shares `q` of the elements lie, interpolated between neighbours."""

    def rad2deg(self) -> Tensor:
        """Radians as degrees."""

    def rad2deg_(self) -> Tensor:
        """`rad2deg`, in place."""

    def random_(self, *args: Any, generator: Any = None, **kwargs: Any) -> Tensor:
        """Refill with random whole numbers."""

    def ravel(self) -> Any:
        """All elements in one row."""

    def real(self) -> Any:
        """The real part: of real numbers, the tensor itself."""

    def reciprocal(self) -> Tensor:
        """1 / x."""

    def reciprocal_(self) -> Tensor:
        """`reciprocal`, in place."""

    def relu(self, inplace: Any = False) -> Tensor:
        """max(0, x); the gradient at 0 is 0."""

    def relu_(self, inplace: Any = False) -> Tensor:
        """`relu`, in place."""

    def remainder(self, other: Any) -> Tensor:
        """Remainder with the sign of the divisor, as Python's `%`."""

    def remainder_(self, other: Any) -> Tensor:
        """`remainder`, in place."""

    def renorm(self, p: Any, dim: Any, maxnorm: Any) -> Tensor:
        """Slices along `dim` whose p-norm exceeds `maxnorm`, scaled down to it."""

    def renorm_(self, p: Any, dim: Any, maxnorm: Any) -> Tensor:
        """`renorm`, in place."""

    def repeat(self, *repeats: Any) -> Tensor:
        """The whole tensor repeated along each axis; more sizes than axes make new axes in front."""

    def repeat_interleave(self, repeats: Any = None, dim: Any = None, *, output_size: Any = None) -> Tensor:
        """Each element repeated, one number for all or one for each position along `dim`."""

    def reshape(self, *shape: Any) -> Tensor:
        """The same elements, row by row, in another shape; one size may be -1."""

    def reshape_as(self, other: Any) -> Any:
        """The same elements in the shape of another tensor."""

    def resize_(self, *sizes: Any, memory_format: Any = None) -> Tensor:
        """Refused: a tensor keeps its number of elements."""

    def resize_as_(self, *sizes: Any, memory_format: Any = None) -> Tensor:
        """Refused: a tensor keeps its number of elements."""

    def resolve_conj(self) -> Any:
        """The complex conjugate: of real numbers, the tensor itself."""

    def resolve_neg(self) -> Any:
        """The complex conjugate: of real numbers, the tensor itself."""

    def roll(self, shifts: Any, dims: Any = None) -> Tensor:
        """The elements moved along axes; what leaves at one end comes in at the other."""

    def rot90(self, k: Any = 1, dims: Any = ...) -> Tensor:
        """A plane turned by quarter turns, from the first of `dims` towards the second."""

    def round(self, *, decimals: Any = 0) -> Tensor:
        """The nearest whole number, halves to even; `decimals` digits are kept."""

    def round_(self, *, decimals: Any = 0) -> Tensor:
        """`round`, in place."""

    def rsqrt(self) -> Tensor:
        """1 over the square root."""

    def rsqrt_(self) -> Tensor:
        """`rsqrt`, in place."""

    def scatter(self, dim: Any, index: Any, src: Any = None, *, value: Any = None, reduce: Any = None) -> Tensor:
        """`input` with `src` (a tensor or number) written at `index` along `dim`."""

    def scatter_(self, dim: Any, index: Any, src: Any = None, *, value: Any = None, reduce: Any = None) -> Tensor:
        """`scatter`, in place."""

    def scatter_add(self, dim: Any, index: Any, src: Any) -> Tensor:
        """`input` with `src` added at `index` along `dim`; repeated indices add up."""

    def scatter_add_(self, dim: Any, index: Any, src: Any) -> Tensor:
        """`scatter_add`, in place."""

    def scatter_reduce(self, dim: Any, index: Any, src: Any, reduce: Any, *, include_self: Any = True) -> Tensor:
        """`input` with `src` reduced into it at `index`: 'sum', 'prod', 'mean', 'amax' or 'amin'."""

    def scatter_reduce_(self, dim: Any, index: Any, src: Any, reduce: Any, *, include_self: Any = True) -> Tensor:
        """`scatter_reduce`, in place."""

    def select(self, dim: Any, index: Any) -> Any:
        """The view at one position of an axis."""

    def select_scatter(self, src: Any, dim: Any, index: Any) -> Any:
        """The input with `src` at one position of an axis."""

    def set_(self, source: Any) -> Tensor:
        """Point to the values of another tensor."""

    def sgn(self) -> Tensor:
        """-1, 0 or 1; its gradient is 0 everywhere."""

    def sgn_(self) -> Tensor:
        """`sign`, in place."""

    def short(self, memory_format: Any = None) -> Any:
        """The tensor in int16."""

    def sigmoid(self) -> Tensor:
        """The logistic function 1 / (1 + e^-x), stable at both ends."""

    def sigmoid_(self) -> Tensor:
        """`sigmoid`, in place."""

    def sign(self) -> Tensor:
        """-1, 0 or 1; its gradient is 0 everywhere."""

    def sign_(self) -> Tensor:
        """`sign`, in place."""

    def signbit(self) -> Tensor:
        """Whether the sign is minus, that of -0 included."""

    def signbit_(self) -> Tensor:
        """`signbit`, in place."""

    def sin(self) -> Tensor:
        """The sine."""

    def sin_(self) -> Tensor:
        """`sin`, in place."""

    def sinc(self) -> Tensor:
        """sin(pi x) / (pi x), and 1 at 0."""

    def sinc_(self) -> Tensor:
        """`sinc`, in place."""

    def sinh(self) -> Tensor:
        """The hyperbolic sine."""

    def sinh_(self) -> Tensor:
        """`sinh`, in place."""

    def slice_scatter(self, src: Any, dim: Any = 0, start: Any = None, end: Any = None, step: Any = 1) -> Any:
        """The input with `src` in a slice of an axis."""

    def slogdet(self) -> Any:
        """The sign of the determinant and the natural logarithm of its absolute value."""

    def softmax(self, dim: Any = None, *, dtype: Any = None, _stacklevel: Any = 3) -> Tensor:
        """e^x along `dim`, divided by its sum."""

    def sort(self, dim: Any = -1, descending: Any = False, stable: Any = False) -> Any:
        """The elements of an axis in order, and the indices where they were; always stable."""

    def split(self, split_size_or_sections: Any, dim: Any = 0) -> Any:
        """Views of `tensor` cut along `dim`: pieces of one size (the last may be smaller) or of each"""

    def split_with_sizes(self, split_sizes: Any, dim: Any = 0) -> Any:
        """Views of `input` of the listed sizes along `dim`."""

    def sqrt(self) -> Tensor:
        """The square root; its gradient at 0 is infinite."""

    def sqrt_(self) -> Tensor:
        """`sqrt`, in place."""

    def square(self) -> Tensor:
        """x times x."""

    def square_(self) -> Tensor:
        """`square`, in place."""

    def squeeze(self, dim: Any = None) -> Tensor:
        """Without the axes of size 1, or without those of `dim` that are."""

    def squeeze_(self, dim: Any = None) -> Tensor:
        """`squeeze`, in place."""

    def std(self, dim: Any = None, unbiased: Any = None, keepdim: Any = False, *, correction: Any = None) -> Tensor:
        """The standard deviation: the root of the variance. Its gradient at 0 is 0."""

    def sub(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """Difference of two tensors; `alpha` scales the second."""

    def sub_(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """`sub`, in place."""

    def subtract(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """Difference of two tensors; `alpha` scales the second."""

    def subtract_(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """`sub`, in place."""

    def sum(self, dim: Any = None, keepdim: Any = False, *, dtype: Any = None) -> Tensor:
        """The sum of all elements, or along axes. Whole numbers and bools sum to int64."""

    def sum_to_size(self, *size: Any) -> Any:
        """Sum over the axes along which a tensor of `size` would have been broadcast to this one."""

    def svd(self, some: Any = True, compute_uv: Any = True) -> Any:
        """U, S and V with input = U diag(S) Vᵀ."""

    def swapaxes(self, dim0: Any, dim1: Any) -> Any:
        """The view with two axes swapped."""

    def swapaxes_(self, dim0: Any, dim1: Any) -> Tensor:
        """`swapaxes`, in place."""

    def swapdims(self, dim0: Any, dim1: Any) -> Any:
        """The view with two axes swapped."""

    def swapdims_(self, dim0: Any, dim1: Any) -> Tensor:
        """`swapdims`, in place."""

    def t(self) -> Any:
        """The transpose of a matrix; a vector or number stays as it is."""

    def t_(self) -> Tensor:
        """`t`, in place."""

    def take(self, index: Any) -> Any:
        """The elements at flat positions, in the shape of the index."""

    def take_along_dim(self, indices: Any, dim: Any = None) -> Any:
        """`gather` with broadcasting; without `dim` by flat position."""

    def tan(self) -> Tensor:
        """The tangent."""

    def tan_(self) -> Tensor:
        """`tan`, in place."""

    def tanh(self) -> Tensor:
        """The hyperbolic tangent, in (-1, 1)."""

    def tanh_(self) -> Tensor:
        """`tanh`, in place."""

    def tensor_split(self, indices_or_sections: Any, dim: Any = 0) -> Any:
        """Views of `input` cut at indices, or into a number of nearly equal sections."""

    def tile(self, *dims: Any) -> Any:
        """The whole tensor repeated along each axis, the last axes if there are fewer numbers."""

    def to(self, *args: Any, dtype: Any = None, device: Any = None, non_blocking: Any = False, copy: Any = False, memory_format: Any = None) -> Any:
        """Convert to a dtype, a device (there is only the CPU) or another tensor's dtype."""

    def to_(self, *args: Any, dtype: Any = None, device: Any = None, non_blocking: Any = False, copy: Any = False, memory_format: Any = None) -> Tensor:
        """Convert to a dtype, a device (there is only the CPU) or another tensor's dtype."""

    def topk(self, k: Any, dim: Any = -1, largest: Any = True, sorted: Any = True) -> Any:
        """The `k` largest (or smallest) elements of an axis, in order, and their indices."""

    def trace(self) -> Tensor:
        """The sum of the diagonal of a matrix."""

    def transpose(self, dim0: Any, dim1: Any) -> Any:
        """The view with two axes swapped."""

    def transpose_(self, dim0: Any, dim1: Any) -> Tensor:
        """`transpose`, in place."""

    def triangular_solve(self, A: Any, upper: Any = True, transpose: Any = False, unitriangular: Any = False) -> Any:
        """X with A X = input for a triangular A, and A itself."""

    def tril(self, diagonal: Any = 0) -> Tensor:
        """The elements on and below a diagonal, zeros above."""

    def tril_(self, diagonal: Any = 0) -> Tensor:
        """`tril`, in place."""

    def triu(self, diagonal: Any = 0) -> Tensor:
        """The elements on and above a diagonal, zeros below."""

    def triu_(self, diagonal: Any = 0) -> Tensor:
        """`triu`, in place."""

    def true_divide(self, other: Any, *, rounding_mode: Any = None) -> Tensor:
        """Quotient of two tensors; `rounding_mode` is None, 'trunc' or 'floor'."""

    def true_divide_(self, other: Any, *, rounding_mode: Any = None) -> Tensor:
        """`div`, in place."""

    def trunc(self) -> Tensor:
        """x without its fraction; its gradient is 0."""

    def trunc_(self) -> Tensor:
        """`trunc`, in place."""

    def type(self, dtype: Any = None, non_blocking: Any = False) -> Any:
        """The name of the tensor type, or the tensor in another dtype."""

    def type_as(self, other: Any) -> Any:
        """The tensor in the dtype of another."""

    def unbind(self, dim: Any = 0) -> Any:
        """The views along an axis, one for each position."""

    def unflatten(self, dim: Any, sizes: Any) -> Any:
        """One axis split into several; one of the sizes may be -1."""

    def unfold(self, dimension: Any, size: Any, step: Any) -> Tensor:
        """The view of all windows of `size` along an axis, every `step`, as a new last axis."""

    def uniform_(self, *args: Any, generator: Any = None, **kwargs: Any) -> Tensor:
        """Refill with uniform random numbers between two bounds."""

    def unique(self, sorted: Any = True, return_inverse: Any = False, return_counts: Any = False, dim: Any = None) -> Any:
        """The distinct elements, or slices of an axis, in order."""

    def unique_consecutive(self, return_inverse: Any = False, return_counts: Any = False, dim: Any = None) -> Any:
        """The first of each run of equal elements, or of equal slices of an axis."""

    def unsafe_chunk(self, chunks: Any, dim: Any = 0) -> Any:
        """At most `chunks` views of equal size along `dim`; the last may be smaller."""

    def unsafe_split(self, split_size_or_sections: Any, dim: Any = 0) -> Any:
        """Views of `tensor` cut along `dim`: pieces of one size (the last may be smaller) or of each"""

    def unsafe_split_with_sizes(self, split_sizes: Any, dim: Any = 0) -> Any:
        """Views of `input` of the listed sizes along `dim`."""

    def unsqueeze(self, dim: Any) -> Tensor:
        """A new axis of size 1 at `dim`."""

    def unsqueeze_(self, dim: Any) -> Tensor:
        """`unsqueeze`, in place."""

    def var(self, dim: Any = None, unbiased: Any = None, keepdim: Any = False, *, correction: Any = None) -> Tensor:
        """The variance: the mean square distance from the mean, with n - correction for n."""

    def vdot(self, other: Any) -> Tensor:
        """The sum of the products of two vectors."""

    def view(self, *shape: Any) -> Any:
        """The same elements in another shape."""

    def view_as(self, other: Any) -> Any:
        """The same elements in the shape of another tensor."""

    def vsplit(self, indices_or_sections: Any) -> Any:
        """Views cut along the first axis, at indices or in equal sections."""

    def where(self, condition: Any, other: Any) -> Any:
        """The tensor where the condition holds, `other` elsewhere."""

    def xlogy(self, other: Any) -> Tensor:
        """x ln y, and 0 where x is 0 and y is not NaN."""

    def xlogy_(self, other: Any) -> Tensor:
        """`xlogy`, in place."""

    def xpu(self, *args: Any, **kwargs: Any) -> Any:
        """Says that there is no GPU backend."""

    def zero_(self) -> Tensor:
        """Refill with zeros."""

