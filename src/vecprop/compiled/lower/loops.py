"""Loops over formulas: each activation, loss and optimizer becomes a function that kernels call by address.

Inner loops run over the rows of a tile, which are contiguous. Softmax and normalization
combine features; they store values per row (maximum, mean or deviation) as additional
features after the others.
"""

from functools import cache, lru_cache
from inspect import signature
from types import FunctionType
from typing import Any

import numpy as np
from llvmlite import ir
from numba import from_dtype, types

from ...core import Dropout, LayerNorm, SoftmaxCrossEntropy, counter_rng
from ..jit import inner, intrinsic, use_widest_vectors
from ..jit.addresses import matrix, numbers_at, vector, words_at
from ..jit.cache import digest
from ..jit.machine_code import address_of
from ..jit.tracing import larger, of_numbers
from .formulas import (
    H_SIZE,
    compiled_method,
    hyperparameters,
    is_of_the_library,
    of_formulas,
)
from .scalar_functions import COMPILED, quotient

# Placeholders, filled in by `address_of`: formulas of a class, the floating-point type,
# half of its largest number, and elementary functions of this type.
formula: Any = None
derivative: Any = None
number: Any = None
half: Any = None
clip: Any = None
exp: Any = None
log: Any = None
sqrt: Any = None

mix = of_numbers(counter_rng.mix)
count = of_numbers(
    lambda state, number: counter_rng.mix(state + (number + 1) * counter_rng.GOLDEN)
)
"""Return the state of the random stream with an index; see
`core.counter_rng.counter_bits`.
"""


@intrinsic
def unpacked(typing, h):
    """Return the hyperparameters as a tuple, because loads of doubles inside a loop would halve its float32 vectors."""
    numbers = types.UniTuple(types.float64, H_SIZE)

    def generate(context, builder, signature, values):
        result = ir.Constant(context.get_value_type(numbers), ir.Undefined)
        for index in range(H_SIZE):
            number = builder.load(builder.gep(values[0], [ir.IntType(64)(index)]))
            result = builder.insert_value(result, number, index)
        return result

    return numbers(h), generate


def _map(I, O, rows, p, z, y, h):
    """Compute y = formula(z) for I features of the rows."""
    use_widest_vectors()
    z = vector(z, I * rows)
    y = vector(y, I * rows)
    h = unpacked(h)
    for i in range(I * rows):
        y[i] = formula(h, z[i])


def _derivative(I, O, rows, p, z, delta, J, add, y, h):
    """Compute delta *= formula(z, y), where y is the activation of z."""
    use_widest_vectors()
    n = I * rows
    h = unpacked(h)
    z = vector(z, n)
    y = vector(y, n)
    delta = vector(delta, n)
    for i in range(n):
        delta[i] *= formula(h, z[i], y[i])


@inner
def _weighted(weight, loss, n):
    """Return Σ weight · loss of n rows. Only loss kernels sum over rows, so that all callers sum in the same order."""
    total = 0.0
    for s in range(n):
        total += np.float64(weight[s] * loss[s])
    return total


def _elementwise_loss(rows, outputs, unpadded, z, t, weight, delta, loss, h) -> float:
    """Compute the loss of each row, Σ_o ℓ(z, t), and delta = weight dℓ/dz; return the weighted loss."""
    use_widest_vectors()
    z = matrix(z, outputs, rows)
    t = matrix(t, outputs, rows)
    delta = matrix(delta, outputs, rows)
    weight = vector(weight, rows)
    loss = vector(loss, rows)
    h = unpacked(h)
    for s in range(rows):
        loss[s] = 0
    for o in range(outputs):
        for s in range(rows):
            loss[s] += formula(h, z[o, s], t[o, s])
            delta[o, s] = weight[s] * derivative(h, z[o, s], t[o, s])
    return _weighted(weight, loss, unpadded)


def _softmax_link(outputs, O, rows, p, z, y, h):
    """Apply the softmax; see `SoftmaxCrossEntropy.predict`."""
    use_widest_vectors()
    z = matrix(z, outputs, rows)
    y = matrix(y, outputs, rows)
    for s in range(rows):
        largest = clip(z[0, s], -half, half)
        for c in range(1, outputs):
            largest = larger(largest, clip(z[c, s], -half, half))
        total = largest - largest
        for c in range(outputs):
            y[c, s] = exp(clip(z[c, s], -half, half) - largest)
            total += y[c, s]
        for c in range(outputs):
            y[c, s] /= total


def _softmax_loss(rows, outputs, unpadded, z, t, weight, delta, loss, h) -> float:
    """Compute the cross-entropy -Σ t log y and its gradient Y - T; see `SoftmaxCrossEntropy`.

    delta has memory for three additional features: the largest z, Σ exp(z - largest),
    and its logarithm. The loss of a row is Σ_c t_c (log Σ exp(z - largest) - (z_c -
    largest)).
    """
    use_widest_vectors()
    z = matrix(z, outputs, rows)
    t = matrix(t, outputs, rows)
    delta = matrix(delta, outputs + 3, rows)
    weight = vector(weight, rows)
    loss = vector(loss, rows)
    largest = delta[outputs]
    total = delta[outputs + 1]
    log_total = delta[outputs + 2]
    last = z[outputs - 1]
    for s in range(rows):  # of the first and the last output
        largest[s] = larger(clip(z[0, s], -half, half), clip(last[s], -half, half))
        total[s] = 0
    for c in range(1, outputs - 1):
        for s in range(rows):
            largest[s] = larger(largest[s], clip(z[c, s], -half, half))
    for c in range(outputs):
        for s in range(rows):
            delta[c, s] = exp(clip(z[c, s], -half, half) - largest[s])
            total[s] += delta[c, s]
    for s in range(rows):
        log_total[s] = log(total[s])
        total[s] = quotient(number(1), total[s])  # from here on, the reciprocal
        loss[s] = 0
    for c in range(outputs):
        for s in range(rows):
            loss[s] += t[c, s] * (
                log_total[s] - (clip(z[c, s], -half, half) - largest[s])
            )
            delta[c, s] = weight[s] * (delta[c, s] * total[s] - t[c, s])
    return _weighted(weight, loss, unpadded)


def _update0(n, rate: float, t: float, theta, J, first, second, moved, h) -> float:
    """Take the step of an optimizer with no moments; see `calls.update`."""
    use_widest_vectors()
    theta = vector(theta, n)
    J = vector(J, n)
    moved = vector(moved, n)
    h = unpacked(h)
    square = number(0)
    for i in range(n):
        before = theta[i]
        (theta[i],) = formula(h, before, J[i], rate, t)
        moved[i] = before - theta[i]
        square += moved[i] * moved[i]
    return square


def _update1(n, rate: float, t: float, theta, J, first, second, moved, h) -> float:
    """Take the step of an optimizer with one moment; see `calls.update`."""
    use_widest_vectors()
    theta = vector(theta, n)
    J = vector(J, n)
    first = vector(first, n)
    moved = vector(moved, n)
    h = unpacked(h)
    square = number(0)
    for i in range(n):
        before = theta[i]
        theta[i], first[i] = formula(h, before, J[i], rate, t, first[i])
        moved[i] = before - theta[i]
        square += moved[i] * moved[i]
    return square


def _update2(n, rate: float, t: float, theta, J, first, second, moved, h) -> float:
    """Take the step of an optimizer with two moments; see `calls.update`."""
    use_widest_vectors()
    theta = vector(theta, n)
    J = vector(J, n)
    moved = vector(moved, n)
    h = unpacked(h)
    square = number(0)
    first = vector(first, n)
    second = vector(second, n)
    for i in range(n):
        before = theta[i]
        theta[i], first[i], second[i] = formula(
            h, before, J[i], rate, t, first[i], second[i]
        )
        moved[i] = before - theta[i]
        square += moved[i] * moved[i]
    return square


def _norm(I, O, rows, p, x, y, h, extra):
    """Compute y = g x̂ + b with x̂ = (x - mean) / deviation, where deviation² = mean((x - mean)²) + epsilon.

    Means are over the I features of a row. extra stores x̂ (I features), the deviations
    of the rows, and two features of workspace.
    """
    g = vector(p, 2 * I)[:I]
    b = vector(p, 2 * I)[I:]
    x = matrix(x, I, rows)
    y = matrix(y, I, rows)
    h = unpacked(h)
    x_hat = matrix(extra, I + 3, rows)
    deviation = x_hat[I]
    sum_of_x = x_hat[I + 1]
    n = number(I)
    epsilon = number(h[0])
    for s in range(rows):
        sum_of_x[s] = 0
        deviation[s] = 0
    for k in range(I):
        for s in range(rows):
            sum_of_x[s] += x[k, s]
    for k in range(I):
        for s in range(rows):
            x_hat[k, s] = x[k, s] - sum_of_x[s] / n
    for k in range(I):
        for s in range(rows):
            deviation[s] += x_hat[k, s] * x_hat[k, s]
    for s in range(rows):
        deviation[s] = sqrt(deviation[s] / n + epsilon)
    for k in range(I):
        for s in range(rows):
            x_hat[k, s] /= deviation[s]
            y[k, s] = g[k] * x_hat[k, s] + b[k]


def _norm_back(I, O, rows, p, x, delta, J, add, y, h, extra):
    """Set delta to (d - mean(d) - x̂ mean(d x̂)) / deviation with d = g delta; compute the gradients of g and b.

    Means are over the I features of a row. The gradients, sums over the rows of delta
    x̂ and delta, are stored in J, or added to it.
    """
    g = vector(p, I)
    J = vector(J, 2 * I)
    delta = matrix(delta, I, rows)
    x_hat = matrix(extra, I + 3, rows)
    deviation = x_hat[I]
    sum_of_d = x_hat[I + 1]
    sum_of_products = x_hat[I + 2]
    n = number(I)
    for s in range(rows):
        sum_of_d[s] = 0
        sum_of_products[s] = 0
    for k in range(I):
        J_b = number(0)
        J_g = number(0)
        for s in range(rows):
            J_b += delta[k, s]
            J_g += delta[k, s] * x_hat[k, s]
        J[k] = J[k] + J_g if add else J_g
        J[I + k] = J[I + k] + J_b if add else J_b
        for s in range(rows):
            delta[k, s] *= g[k]
            sum_of_d[s] += delta[k, s]
            sum_of_products[s] += delta[k, s] * x_hat[k, s]
    for k in range(I):
        for s in range(rows):
            delta[k, s] = (
                delta[k, s] - sum_of_d[s] / n - x_hat[k, s] * (sum_of_products[s] / n)
            ) / deviation[s]


def _drop(I, O, rows, p, x, y, h, mask, by_rows, product, numbers, seed, step, layer):
    """Multiply by the dropout mask of this step; see `core.layers.Dropout` and `core.counter_rng.RandomKey`."""
    if step < 0:
        for i in range(I * rows):
            y[i] = x[i]
        return
    x = matrix(x, I, rows)
    y = matrix(y, I, rows)
    mask = matrix(mask, I, rows)
    numbers = vector(numbers, rows)
    h = unpacked(h)
    factor = number(1 / (1 - h[0]))
    state = count(count(count(mix(seed), counter_rng.DROPOUT), step), layer)
    for s in range(rows):
        row = count(state, numbers[s])
        for k in range(I):
            u = np.float64(np.uint64(count(row, k)) >> np.uint64(11)) * 2.0**-53
            mask[k, s] = factor if u >= h[0] else number(0)
            y[k, s] = x[k, s] * mask[k, s]


def _drop_back(
    I,
    O,
    rows,
    p,
    x,
    delta,
    J,
    add,
    y,
    h,
    mask,
    before,
    transposed,
    by_rows,
    product,
    step,
):
    if step >= 0:
        delta = vector(delta, I * rows)
        mask = vector(mask, I * rows)
        for i in range(I * rows):
            delta[i] *= mask[i]


UPDATES = (_update0, _update1, _update2)
"""The loops over optimizer formulas, by the number of moments; see also `_update_many`."""

_UPDATE_MANY = """\
def _update{count}(
    n, rate: float, t: float, theta, J, first, second, moved, h, further, offset
) -> float:
    use_widest_vectors()
    theta = vector(theta, n)
    J = vector(J, n)
    moved = vector(moved, n)
    h = unpacked(h)
    square = number(0)
    first = vector(first, n)
    second = vector(second, n)
    addresses = words_at(further, {count} - 2)
    {vectors}
    for i in range(n):
        before = theta[i]
        theta[i], first[i], second[i], {elements} = formula(
            h, before, J[i], rate, t, first[i], second[i], {elements}
        )
        moved[i] = before - theta[i]
        square += moved[i] * moved[i]
    return square
"""
"""The source of `_update2` for further moments, which need one variable each."""


@cache
def _update_many(count: int) -> FunctionType:
    """Return the loop over the formula of an optimizer with more than two moments."""
    vectors = []
    elements = []
    for k in range(count - 2):
        vectors.append(f"m{k} = numbers_at(addresses[{k}] + offset, n, number)")
        elements.append(f"m{k}[i]")
    source = _UPDATE_MANY.format(
        count=count, vectors="; ".join(vectors), elements=", ".join(elements)
    )
    names = {**globals(), "numbers_at": numbers_at, "words_at": words_at}
    exec(source, names)
    return names[f"_update{count}"]


_WORDS = "n rows outputs unpadded I O seed step layer add before transposed"
_WORDS += " by_rows product further offset"
"""The names of arguments that are integers or addresses of other functions."""


def _kinds(template: FunctionType, F: type) -> dict[str, Any]:
    """Return the types of a template's arguments that are pointers."""
    pointer = types.CPointer(from_dtype(np.dtype(F)))
    kinds = dict.fromkeys(signature(template).parameters, pointer)
    for name in _WORDS.split():
        kinds.pop(name, None)
    kinds["h"] = types.CPointer(types.float64)
    kinds["numbers"] = types.CPointer(types.intp)
    return kinds


@of_formulas
@cache
def _address(template: FunctionType, cls: type, F: type, *methods: str) -> int:
    """Return the address of a loop for type F over the formulas of a class: of at most two methods."""
    formulas = [compiled_method(cls, method, F) for method in methods]
    suffix = f"_{cls.__name__}"
    if not is_of_the_library(cls):
        # Custom classes may have the same name, and their formulas may change.
        suffix += f"_{digest(*formulas)[:16]}"
    names: dict[str, Any] = dict(zip(("formula", "derivative"), formulas, strict=False))
    for function, compiled in COMPILED[F].items():
        names[function.__name__] = compiled
    names["half"] = F(np.finfo(F).max / 2)
    return address_of(template, F, suffix, kinds=_kinds(template, F), **names)


def norm_addresses(F: type) -> tuple[int, int]:
    """Return the addresses of the forward and backward pass of layer normalization."""
    return _address(_norm, LayerNorm, F), _address(_norm_back, LayerNorm, F)


def drop_addresses(F: type) -> tuple[int, int]:
    """Return the addresses of the forward and backward pass of dropout."""
    return _address(_drop, Dropout, F), _address(_drop_back, Dropout, F)


def map_address(activation, F: type) -> int:
    """Return the address of y = value(z); see `calls.forward`."""
    return _address(_map, type(activation), F, "value")


def derivative_address(activation, F: type) -> int:
    """Return the address of delta *= derivative(z, y); see `calls.backward`."""
    return _address(_derivative, type(activation), F, "derivative")


def link_address(loss, F: type) -> int:
    """Return the address of a loss's link function; see `calls.link`."""
    if isinstance(loss, SoftmaxCrossEntropy):
        return _address(_softmax_link, type(loss), F)
    return _address(_map, type(loss), F, "predict")


def loss_address(loss, F: type) -> int:
    """Return the address of a loss and its gradient; see `calls.loss`."""
    if isinstance(loss, SoftmaxCrossEntropy):
        return _address(_softmax_loss, type(loss), F)
    return _address(_elementwise_loss, type(loss), F, "element", "delta")


def update_address(optimizer, F: type) -> int:
    """Return the address of an optimizer's step; see `calls.update`."""
    count = len(optimizer.moments)
    loop = UPDATES[count] if count < len(UPDATES) else _update_many(count)
    return _address(loop, type(optimizer), F, "update")


@of_formulas
@lru_cache(maxsize=256)
def update_of(optimizer, F: type) -> tuple[int, np.ndarray]:
    """Return the address of an optimizer's step, and its hyperparameters."""
    return update_address(optimizer, F), hyperparameters(optimizer)
