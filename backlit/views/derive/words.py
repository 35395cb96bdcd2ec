"""The words of derivations, in English and Chinese."""

from __future__ import annotations

from backlit.errors import ArgumentError

LANGUAGES = ("en", "zh")

WORDS = {
    "forward": ("Forward: the values", "前向：各个值"),
    "backward": ("Backward: the chain rule", "反向：链式法则"),
    "start": ("The derivative of the result by itself is 1.", "结果对自身的导数为 1。"),
    "seed": ("The gradient to start from is given.", "起始梯度由调用者给出。"),
    "fork": (
        "{name} is read by {count} gates: their contributions add up.",
        "{name} 被 {count} 个门读取：各条路径的贡献相加。",
    ),
    "paths": ("All paths, multiplied out", "展开所有路径"),
    "collapse": ("Several gates as one", "多个门合并为一个"),
    "where": ("Here:", "其中："),
    "layers": ("Layer by layer: BP1 to BP4", "逐层：BP1 至 BP4"),
    "layer": ("Layer {layer}", "第 {layer} 层"),
    "notation": ("The same by elements", "按元素写出"),
    "proof": ("Proof of {name}", "{name} 的证明"),
    "definition": ("by definition", "按定义"),
    "chain": ("chain rule", "链式法则"),
    "own": (
        "{j} enters through {i} = {j} only: all other terms are 0",
        "只有 {i} = {j} 的项依赖它：其余各项为 0",
    ),
    "indices": ("By indices", "按下标推导"),
    "second": ("Second order", "二阶导数"),
    "unlike": (
        "The rule of {name} is not the derivative of what it computes:"
        " differences give {slope}, the rule {claimed}.",
        "{name} 的规则不是其前向计算的导数：差分得 {slope}，规则得 {claimed}。",
    ),
    "hook": (
        "A hook of the program changes the gradient of {name} here.",
        "程序的钩子在此改变了 {name} 的梯度。",
    ),
    "broken": ("does not hold: off by {error:.1e}", "不成立：相差 {error:.1e}"),
    "svm": ("Margins above 0 pass the gradient on", "间隔大于 0 的项传递梯度"),
    "quadratic": ("Quadratic cost", "二次代价"),
}  # fmt: skip


def word(key: str, language: str, **given: object) -> str:
    """A phrase of a derivation."""
    return WORDS[key][LANGUAGES.index(language)].format(**given)


def sentence(key: str, language: str, symbol: str, **given: object) -> tuple[str, str]:
    """A phrase about a symbol, as text and as LaTeX."""
    from backlit.views.derive.plain import plain

    before, _, after = word(key, language, name="\0", **given).partition("\0")
    tex = rf"\text{{{before}}}{symbol}\text{{{after}}}"
    return f"{before}{plain(symbol)}{after}", tex


def check_language(language: str) -> None:
    if language not in LANGUAGES:
        raise ArgumentError(f"language must be 'en' or 'zh', got {language!r}")
