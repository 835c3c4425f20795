"""A copy of blocks has the source's rows in the order of a shuffle in memory."""

from typing import Any

import numpy as np
import pytest

import vecprop as vp

RNG = np.random.default_rng(0)
X, T, W = (
    RNG.normal(size=(500, 3)).astype(np.float32),
    RNG.integers(0, 3, 500),
    RNG.random(500),
)


@pytest.fixture(scope="module")
def order(tmp_path_factory):
    """Return the order of 500 rows in an epoch with seed 7, which starts with known rows."""
    rows = np.arange(500.0)[:, None]
    source = vp.blocks.ArrayBlocks(rows, rows[:, 0])
    folder = tmp_path_factory.mktemp("order") / "mixed"
    order = vp.blocks.copy_blocks(source, folder, shuffle=7).X[:, 0].astype(int)
    assert order[:10].tolist() == [112, 192, 240, 9, 124, 279, 39, 294, 346, 275]
    assert sorted(order) == list(range(500))
    return order


@pytest.mark.parametrize("bucket", [10**9, 3000, 200])
@pytest.mark.parametrize("weight", [None, W], ids=["", "weighted"])
def test_rows_have_the_order_of_a_shuffle_in_memory(
    bucket, weight, order, tmp_path, limit
):
    limit("copy: bytes of a bucket", bucket)
    limit("copy: rows of a chunk", 64)
    source = vp.blocks.ArrayBlocks(X, T, weight, rows=70)
    copy = vp.blocks.copy_blocks(source, tmp_path / "mixed", shuffle=7, rows=32)
    for blocks in (copy, vp.blocks.ArrayBlocks.open(tmp_path / "mixed")):
        assert blocks.sizes.tolist() == [32] * 15 + [20]
        own = [X, T] if weight is None else [X, T, W]
        for place, arrays in enumerate(zip(*map(blocks.read, range(16)), strict=True)):
            np.testing.assert_array_equal(
                np.concatenate(arrays), own[place][order], strict=True
            )
    names = sorted(path.name for path in (tmp_path / "mixed").iterdir())
    assert names == [
        "T.npy",
        "X.npy",
        "blocks.json",
        *([] if weight is None else ["sample_weight.npy"]),
    ]


def test_a_numpy_seed_fixes_the_order_and_no_seed_keeps_it(order, tmp_path):
    copy = vp.blocks.copy_blocks(
        vp.blocks.ArrayBlocks(X, T, rows=70), tmp_path / "same"
    )
    np.testing.assert_array_equal(copy.X, X, strict=True)
    np.testing.assert_array_equal(copy.T, T, strict=True)
    seed: Any = np.int64(7)
    copy = vp.blocks.copy_blocks(
        vp.blocks.ArrayBlocks(X, T), tmp_path / "new", shuffle=seed
    )
    np.testing.assert_array_equal(copy.X, X[order])


class Broken(vp.blocks.ArrayBlocks):
    def read(self, number):
        if number == 4:
            raise OSError("the disk is gone")
        return super().read(number)


def test_an_unfinished_copy_is_refused_and_restarted(order, tmp_path):
    with pytest.raises(OSError, match="the disk is gone"):
        vp.blocks.copy_blocks(Broken(X, T, W, rows=70), tmp_path / "mixed", shuffle=7)
    with pytest.raises(
        ValueError, match=r"mixed has no blocks.json: .* the copy was not finished"
    ):
        vp.blocks.ArrayBlocks.open(tmp_path / "mixed")
    copy = vp.blocks.copy_blocks(
        vp.blocks.ArrayBlocks(X, T, rows=70), tmp_path / "mixed", shuffle=7
    )
    np.testing.assert_array_equal(copy.X, X[order])
    assert copy.sample_weight is None
    with pytest.raises(
        FileExistsError, match="mixed already contains a copy: use another folder"
    ):
        vp.blocks.copy_blocks(vp.blocks.ArrayBlocks(X, T), tmp_path / "mixed")


@pytest.mark.parametrize("rows", [0, 1.5, True])
def test_an_invalid_block_size_is_refused_before_copying(rows, tmp_path):
    with pytest.raises(
        ValueError, match=f"rows must be a positive integer, got {rows}"
    ):
        vp.blocks.copy_blocks(vp.blocks.ArrayBlocks(X, T), tmp_path / "new", rows=rows)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("blocks.json", b""),
        ("blocks.json", b"[8192]"),
        ("blocks.json", b'{"rows": 0}'),
        ("X.npy", None),
        ("T.npy", b"\x93NUMPY and no more"),
    ],
)
def test_a_damaged_copy_is_reported_in_one_sentence(name, content, tmp_path):
    vp.blocks.copy_blocks(vp.blocks.ArrayBlocks(X, T), tmp_path / "new")
    (tmp_path / "new" / name).unlink()
    if content is not None:
        (tmp_path / "new" / name).write_bytes(content)
    with pytest.raises(
        ValueError,
        match=r"new is a damaged folder of blocks: .+; copy the blocks again\.$",
    ):
        vp.blocks.ArrayBlocks.open(tmp_path / "new")


def test_other_files_are_not_touched(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(
        FileExistsError, match="file is a file: use the name of a folder"
    ):
        vp.blocks.copy_blocks(vp.blocks.ArrayBlocks(X, T), tmp_path / "file")
    (tmp_path / "file").unlink()
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(
        FileExistsError, match=r"contains mine.txt: use an empty folder"
    ):
        vp.blocks.copy_blocks(vp.blocks.ArrayBlocks(X, T), tmp_path)
    with pytest.raises(
        TypeError, match="shuffle must be an integer seed or None, got 'yes'"
    ):
        vp.blocks.copy_blocks(
            vp.blocks.ArrayBlocks(X, T),
            tmp_path / "new",
            shuffle="yes",  # pyright: ignore[reportArgumentType]
        )


class Changing(vp.blocks.ArrayBlocks):
    def read(self, number):
        X, T = super().read(number)
        return (X.astype(float) if number else X), T


def test_blocks_of_different_types_are_named(tmp_path):
    with pytest.raises(
        ValueError,
        match="block 1 has arrays of other shapes or dtypes than the first block",
    ):
        vp.blocks.copy_blocks(Changing(X, T, rows=70), tmp_path / "new")
