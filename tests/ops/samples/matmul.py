"""Rows of backlit/ops/matmul.py, products.py and einsum.py."""

from rows import Row, T

from backlit.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError

A, B = T((3, 4)), T((4, 2))
V = T((4,))
SQUARE = T((3, 3))
BATCH = T((2, 3, 4))


def einsum_rows() -> list[Row]:
    """All kinds of equations that PyTorch knows."""
    cases = [
        ("ij,jk->ik", A, B), ("ij,jk", A, B), ("ij->ji", A), ("ij->", A), ("ii", SQUARE),
        ("ii->i", SQUARE), ("ij,ij->ij", A, A), ("i,j->ij", V, T((3,))), ("i,i->", V, V),
        ("bij,bjk->bik", BATCH, T((2, 4, 5))), ("bij,jk->bik", BATCH, B),
        ("...ij,...jk->...ik", T((2, 1, 3, 4)), T((5, 4, 2))), ("...ij->...ji", BATCH),
        ("...i,...i", BATCH, T((3, 4))), ("i...->...", BATCH), ("bn,anm,bm->ba", *(
            T((2, 3)), T((4, 3, 5)), T((2, 5)))), ("ij,jk,kl->il", A, B, T((2, 5))),
        ("iij,j->ij", T((3, 3, 4)), V), ("Ab,bA->A", A, T((4, 3))), ("ij,k->ij", A, T((5,))),
        (" b h i , b j h -> b i j ", T((2, 3, 4)), T((2, 5, 3))), ("ij,jk->ik", T((3, 1)), B),
        ("ijk,ijl->kl", BATCH, T((2, 3, 5))), ("ij,ij,ij->i", A, A, A), ("ij,jk->ik", T((0, 4)), B),
    ]  # fmt: skip
    bad = [
        (("ij,jk->ik", A), ArgumentError, "2 operands"),
        (("ijk->i", A), ShapeError, "names 3 axes of 2"),
        (("ij->k", A), ArgumentError, "in no operand"),
        (("ij->ii", A), ArgumentError, "repeats"),
        (("ij,jk", A, A), ShapeError, "sizes 4 and 3"),
        (("i1,jk", A, A), ArgumentError, "no list of letters"),
        (("ij", 3.0), ArgumentTypeError, "float"),
    ]
    lists = [
        (A, [0, 1], B, [1, 2], [0, 2]),
        (A, [3, 1], B, [1, 2]),
        (BATCH, [..., 0, 1], [..., 1, 0]),
    ]
    return [Row("einsum", args=[*cases, *lists], bad=bad)]


ROWS = [
    Row(
        "matmul",
        args=[
            (A, B),
            (V, V),
            (A, V),
            (T((3,)), A),
            (BATCH, B),
            (BATCH, T((2, 4, 5))),
            (T((2, 1, 3, 4)), T((5, 4, 2))),
            (V, T((2, 4, 3))),
            (BATCH, V),
            (T((0, 4)), B),
            (T((3, 0)), T((0, 2))),
        ],
        bad=[
            ((A, A), ShapeError, "inner sizes differ: (3, 4) @ (3, 4)"),
            ((A, T(())), ShapeError, "0-dim"),
            ((A, 2.0), ArgumentTypeError, "float"),
            ((A, T((4, 2), dtype="int64")), DTypeError, "dtypes differ"),
        ],
    ),
    Row("matmul", args=[(T((2, 3), dtype="int64"), T((3, 2), dtype="int64"))], grad=False),
    Row(
        "F.linear",
        args=[
            (A, T((5, 4)), T((5,))),
            (BATCH, T((5, 4)), T((5,))),
            (V, T((5, 4))),
            (V, T((5, 4)), T((5,))),
            (T((0, 4)), T((5, 4)), T((5,))),
            (A, V),
        ],
        bad=[
            ((A, T((5, 3))), ShapeError, "weight (out, in)"),
            ((A, T((5, 4)), T((4,))), ShapeError, "expected (5,)"),
            ((A, T((5, 4), dtype="float16")), DTypeError, "float16"),
        ],
    ),
    Row("mm", op=(), args=[(A, B)], bad=[((A, V), ShapeError, "mat2 must have 2 axes")]),
    Row("mv", op=(), args=[(A, V)], bad=[((A, B), ShapeError, "vec must have 1 axes")]),
    Row(
        "bmm",
        op=(),
        args=[(BATCH, T((2, 4, 5)))],
        bad=[
            ((BATCH, T((3, 4, 5))), ShapeError, "batches of 2 and 3"),
            ((A, B), ShapeError, "3 axes"),
        ],
    ),
    Row(
        "dot",
        args=[(V, V)],
        bad=[((V, T((3,))), ShapeError, "4 and 3"), ((A, V), ShapeError, "1 axes")],
    ),
    Row("outer", args=[(V, T((3,)))], bad=[((A, V), ShapeError, "1 axes")]),
    Row(
        "inner",
        args=[(A, T((2, 4))), (V, V), (A, V), (A, T(()))],
        bad=[((A, T((3,))), ShapeError, "last axes differ")],
    ),
    Row("kron", args=[(A, B), (V, A), (T((2, 1, 2)), T((2, 3)))]),
    Row(
        "tensordot",
        args=[(A, B, 1), (BATCH, T((4, 3, 5)), ([1, 2], [1, 0])), (A, T((3, 4)), 2), (A, B, 0)],
        bad=[((A, B, 2), ShapeError, "do not pair"), ((A, B, 3), ArgumentError, "dims=3")],
    ),
    Row(
        "cross",
        args=[(T((3, 4)), T((3, 4)), 0), (T((2, 3)), T((2, 3)), -1), (T((1, 3)), T((2, 3)), 1)],
        bad=[((A, A, 1), ShapeError, "3 elements"), ((A, V), ShapeError, "axes")],
    ),
    Row(
        "addmm",
        args=[(T((3, 2)), A, B), (T((2,)), A, B, {"beta": 0.5, "alpha": 2.0})],
        bad=[((T((4,)), A, B), ShapeError, "do not broadcast")],
    ),
    Row("addmm", args=[(T((3, 2), grad=False), A, B, {"beta": 0})]),
    Row("addmv", args=[(T((3,)), A, V), (T((1,)), A, V, {"beta": 0.5, "alpha": 2.0})]),
    Row("addr", args=[(T((4, 3)), V, T((3,))), (T((3,)), V, T((3,)), {"alpha": 2.0})]),
    Row("baddbmm", args=[(T((2, 3, 5)), BATCH, T((2, 4, 5)), {"beta": 0.5})]),
    Row("addbmm", args=[(T((3, 5)), BATCH, T((2, 4, 5)), {"alpha": 0.5})]),
    Row(
        "matrix_power",
        args=[(SQUARE, 0), (SQUARE, 1), (SQUARE, 5), (T((2, 3, 3)), 2)],
        grad=False,
        bad=[((A, 2), ShapeError, "square")],
    ),
    Row("matrix_power", args=[(SQUARE, 1), (SQUARE, 5), (T((2, 3, 3)), 2)]),
    Row(
        "linalg.multi_dot",
        args=[([A, B, T((2, 5))],), ([T((3,)), A, B],), ([A, B, T((2,))],), ([V, V],)],
        bad=[(([A],), ArgumentError, "at least 2"), (([A, BATCH],), ShapeError, "2 axes")],
    ),
    Row(
        "chain_matmul",
        op=(),
        args=[(A, B, T((2, 5)))],
        torch=lambda *x: __import__("torch").linalg.multi_dot(x),
    ),
    Row(
        "F.bilinear",
        args=[
            (T((5, 2)), T((5, 3)), T((4, 2, 3)), T((4,))),
            (T((2, 5, 2)), T((2, 5, 3)), T((4, 2, 3))),
            (T((2,)), T((3,)), T((4, 2, 3))),
        ],
        bad=[((T((5, 3)), T((5, 3)), T((4, 2, 3))), ShapeError, "(out, in1, in2)")],
    ),
    *einsum_rows(),
]
