"""Kernels of the joints of composite layers; see `core.composites`.

A Fork copies its inputs. The memory after this copy is its slot, which receives the
delta from the other end of the connection. A Branch shares the copy, so its forward pass
does nothing::

      workspace   | Fork: I | ones | slot: I | ...

      backward    Add          stores its delta in the slot
                  Concatenate  keeps its delta, and passes on the features of the last branch
                  Branch       adds the branch's delta to the slot, and passes on the
                               features of the preceding branch
                  Fork         adds the slot to the delta
"""

from typing import Any

from ..jit import inner, use_widest_vectors
from ..jit.addresses import clear_bytes, copy_bytes, numbers_at, words_at
from ..jit.machine_code import address_of, filled_in

# Placeholders, filled in by `address_of`: the floating-point type, the bytes of an
# element, and `_add_to`.
number: Any = float
size = 8
add_to: Any = None


def _add_to(target, values, count):
    """Add numbers to the numbers at an address."""
    use_widest_vectors()
    target = numbers_at(target, count, number)
    values = numbers_at(values, count, number)
    for i in range(count):
        target[i] += values[i]


def _nothing(I, O, S):
    pass


def _fork(I, O, S, p, A, Z):
    copy_bytes(A, Z, I * S * size)


def _fork_back(I, O, S, p, A, delta, J, add, Z):
    add_to(delta, Z + (I + 1) * S * size, I * S)


def _add(I, O, S, p, A, Z, h, fork):
    copy_bytes(fork, Z, I * S * size)
    add_to(Z, A, I * S)


def _add_back(I, O, S, p, A, delta, J, add, Z, h, fork):
    copy_bytes(delta, fork + (I + 1) * S * size, I * S * size)


def _branch_back(
    I, O, S, p, A, delta, J, add, Z, h, memory, before, transposed, by_rows, words
):
    """Store or add delta in the slot, and pass on the features of the preceding branch.

    The words are its first feature, and whether this is the last branch.
    """
    first_feature = words_at(words, 2)[0]
    is_last = words_at(words, 2)[1]
    slot = Z + (O + 1) * S * size
    if is_last:
        copy_bytes(delta, slot, O * S * size)
    else:
        add_to(slot, delta, O * S)
    copy_bytes(memory + first_feature * S * size, delta, I * S * size)


def _concatenate(I, O, S, p, A, Z, h, memory, by_rows, words):
    """Copy the outputs of the branches. The words are their distances from Z in bytes, and their widths."""
    feature = 0
    k = 0
    while feature < O:
        distance = words_at(words + 16 * k, 2)[0]
        features = words_at(words + 16 * k, 2)[1]
        copy_bytes(Z + distance, Z + feature * S * size, features * S * size)
        feature += features
        k += 1


def _concatenate_back(I, O, S, p, A, delta, J, add, Z, h, memory):
    copy_bytes(delta, memory, O * S * size)
    copy_bytes(memory + (O - I) * S * size, delta, I * S * size)


def _select(I, O, S, p, A, Z, h, memory, by_rows, words):
    """Copy the features with the indices in the words."""
    columns = words_at(words, O)
    for k in range(O):
        copy_bytes(A + columns[k] * S * size, Z + k * S * size, S * size)


def _select_back(
    I, O, S, p, A, delta, J, add, Z, h, memory, before, transposed, by_rows, words
):
    """Add the deltas to the features with the indices in the words; the deltas of other features are 0."""
    columns = words_at(words, O)
    copy_bytes(delta, memory, O * S * size)
    clear_bytes(delta, I * S * size)
    for k in range(O):
        add_to(delta + columns[k] * S * size, memory + k * S * size, S)


_FUNCTIONS = {
    "Fork": (_fork, _fork_back),
    "Branch": (_nothing, _branch_back),
    "Add": (_add, _add_back),
    "Concatenate": (_concatenate, _concatenate_back),
    "Select": (_select, _select_back),
}


def joint_addresses(name: str, F: type) -> tuple[int, int]:
    """Return the addresses of a joint's forward and backward functions; see `calls.forward`."""
    forward, back = _FUNCTIONS[name]
    add_to = inner(filled_in(_add_to, F))
    return address_of(forward, F, add_to=add_to), address_of(back, F, add_to=add_to)
