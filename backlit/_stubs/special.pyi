"""Written by tools/stubs.py from the operator registry; a test keeps it fresh."""

from typing import Any

from backlit.tensor import Tensor

def digamma(input: Any) -> Tensor:
    """The derivative of ln gamma."""

def entr(input: Any) -> Tensor:
    """-x ln x: 0 at 0, minus infinity below."""

def erf(input: Any) -> Tensor:
    """The error function, 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x."""

def erfc(input: Any) -> Tensor:
    """1 - erf(x), with all digits in the tail."""

def erfinv(input: Any) -> Tensor:
    """The number whose error function is x, for x in [-1, 1]."""

def exp2(input: Any) -> Tensor:
    """2 to the power x."""

def expit(input: Any) -> Tensor:
    """The logistic function 1 / (1 + e^-x), stable at both ends."""

def expm1(input: Any) -> Tensor:
    """e to the power x, minus 1, exact for small x."""

def gammaln(input: Any) -> Tensor:
    """The logarithm of the absolute value of the gamma function, as `lgamma`."""

def log1p(input: Any) -> Tensor:
    """The natural logarithm of 1 + x, exact for small x."""

def log_softmax(input: Any, dim: Any = None, *, dtype: Any = None, _stacklevel: Any = 3) -> Tensor:
    """The logarithm of softmax, finite where softmax itself would round to 0."""

def logaddexp(input: Any, other: Any) -> Tensor:
    """ln(e^a + e^b), finite for any size."""

def logit(input: Any, eps: Any = None) -> Tensor:
    """ln(x / (1 - x)), the inverse of the sigmoid; `eps` first limits x to [eps, 1 - eps]."""

def logsumexp(input: Any, dim: Any, keepdim: Any = False) -> Tensor:
    """ln of the sum of e^x along axes, finite for any size of x."""

def multigammaln(input: Any, p: Any) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension p."""

def mvlgamma(input: Any, p: Any) -> Tensor:
    """The logarithm of the multivariate gamma function of dimension p."""

def ndtr(input: Any) -> Tensor:
    """The normal distribution function: the share below x."""

def polygamma(n: Any, input: Any) -> Tensor:
    """The n-th derivative of digamma."""

def psi(input: Any) -> Tensor:
    """The derivative of ln gamma."""

def sigmoid(input: Any) -> Tensor:
    """The logistic function 1 / (1 + e^-x), stable at both ends."""

def sinc(input: Any) -> Tensor:
    """sin(pi x) / (pi x), and 1 at 0."""

def softmax(input: Any, dim: Any = None, *, dtype: Any = None, _stacklevel: Any = 3) -> Tensor:
    """e^x along `dim`, divided by its sum."""

def xlog1py(input: Any, other: Any) -> Tensor:
    """x ln(1 + y), and 0 where x is 0 and y is not NaN."""

def xlogy(input: Any, other: Any) -> Tensor:
    """x ln y, and 0 where x is 0 and y is not NaN."""

