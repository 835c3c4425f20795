"""Random nested composite layers."""

import vecprop as vp


def random_layers(rng, inputs, depth=2, count=3):
    """Return random layers, composite layers up to a depth, and the number of their outputs."""
    layers = []
    width = inputs
    for _ in range(count):
        layer, width = random_layer(rng, width, depth)
        layers.append(layer)
    return layers, width


def random_layer(rng, inputs, depth):
    kinds = ["dense", "activation", "norm", "dropout", "columns"]
    if depth > 0:
        kinds += ["sequential", "residual", "parallel"] * 2
    kind = rng.choice(kinds)
    if kind == "dense":
        width = int(rng.integers(1, 7))
        return vp.Dense(width), width
    if kind == "columns":
        width = int(rng.integers(1, 5))
        return vp.Columns(rng.integers(-inputs, inputs, width).tolist()), width
    if kind == "sequential":
        layers, width = random_layers(rng, inputs, depth - 1)
        return vp.Sequential(*layers), width
    if kind == "residual":
        layers, _ = random_layers(rng, inputs, depth - 1, count=2)
        return vp.Residual(*layers, vp.Dense(inputs)), inputs
    if kind == "parallel":
        branches = []
        width = 0
        for _ in range(rng.integers(1, 4)):
            layers, outputs = random_layers(rng, inputs, depth - 1, count=2)
            branches.append(vp.Sequential(*layers))
            width += outputs
        return vp.Parallel(*branches), width
    elementwise = {
        "activation": vp.Tanh(),
        "norm": vp.LayerNorm(0.1),
        "dropout": vp.Dropout(0.3),
    }
    return elementwise[kind], inputs


def random_network(rng, inputs=4):
    layers, _ = random_layers(rng, inputs)
    loss = vp.SquaredError()
    return vp.Network(inputs, [*layers, vp.Dense(2)], loss, vp.L2(0.1))
