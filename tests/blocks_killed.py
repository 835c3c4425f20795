"""A streamed fit that is killed again and again: ``python blocks_killed.py CHECKPOINT FOLDER [RESULT]``."""

import sys
from typing import Any

import numpy as np

import vecprop as vp
from vecprop.files import checkpoint as checkpoints


def fit(folder: str, checkpoint: vp.Checkpoint | None = None) -> vp.TrainingResult:
    """Train on the Parquet files of a folder."""
    layers = [vp.Dense(32), vp.ReLU(), vp.Dropout(0.2), vp.Dense(2)]
    network = vp.Network(6, layers, vp.SoftmaxCrossEntropy(), vp.L2(1e-4))
    X = np.random.default_rng(9).normal(size=(500, 6)).astype(np.float32)
    settings: dict[str, Any] = {"optimizer": vp.Adam(1e-3), "schedule": vp.Cosine(), "clip": 1.0, "epochs": 6}
    settings |= {"validation": (X, (X[:, 0] > 0).astype(int)), "early_stopping": vp.EarlyStopping(5), "seed": 4}
    blocks = vp.ParquetBlocks(folder, "t")
    theta = network.init(0, dtype=np.float32)
    return vp.train_blocks(network, theta, blocks, batch_size=100, window=9000, checkpoint=checkpoint, **settings)


if __name__ == "__main__":
    checkpoints.SHARE = np.inf
    result = fit(sys.argv[2], vp.Checkpoint(sys.argv[1], every=0))
    curves = {name: getattr(result.history, name) for name in ("loss", "validation_loss", "gradient_norm")}
    np.savez(sys.argv[3], theta=result.theta, last=result.state.theta, **curves)
