# ruff: noqa: E501 (code of students)
"""Source code of students: correct functions in many styles, and functions with one mistake each."""

import math

import numpy as np

import vecprop as vp
from vecprop.learn import tutorial
from vecprop.learn.grading.tasks import TASKS, functions

NETWORK = vp.Network(
    2, [vp.Dense(3), vp.Logistic(), vp.Dense(2)], vp.SoftmaxCrossEntropy()
)


def source(name, body, arguments=None):
    """Return the definition of a function."""
    arguments = arguments or (
        TASKS[name].arguments if name in TASKS else ("theta", "X", "T")
    )
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"def {name}({', '.join(arguments)}):\n{lines}\n"


def written(name, body, arguments=None):
    """Return a student's function, with access to correct functions and a dict C that keeps state."""
    names = {
        "np": np,
        "math": math,
        "C": {},
        **{
            other: getattr(tutorial, other, solution)
            for other, solution in functions().items()
            if other in TASKS and other != name
        },
    }
    exec(source(name, body, arguments), names)
    return names[name]


def changed(body, changes):
    """Apply changes such as "old → new" to a body, and return the mistakes by the changed bodies."""
    pairs = [change.split(" → ") for change in changes]
    assert all(body.count(old) == 1 for old, _ in pairs)
    return {
        body.replace(old, new): mistake
        for (old, new), mistake in zip(pairs, changes.values(), strict=True)
    }


RIGHT = {
    "logistic": [
        "return 1. / (1. + np.exp(-z))",
        "from scipy.special import expit\nreturn expit(z)",
        "return [[1 / (1 + math.exp(-x)) for x in row] for row in z]",
        "if not z:\n    return []\nreturn [[1 / (1 + math.exp(-x)) for x in row] for row in z]",
        "return (1 / (1 + np.exp(-z))).astype(np.float32)",
        "out = np.empty_like(z)\nfor i in range(z.shape[0]):\n    for j in range(z.shape[1]):\n        out[i, j] = 1 / (1 + np.exp(-z[i, j]))\nreturn out",
    ],
    "softmax": [
        "return np.exp(z) / np.sum(np.exp(z), axis=1, keepdims=True)",
        "E = np.exp(z - z.max(axis=1, keepdims=True))\nreturn E / E.sum(axis=1)[:, None]",
        "return np.stack([np.exp(row) / np.exp(row).sum() for row in z])",
        "out = []\nfor row in z:\n    e = [math.exp(x) for x in row]\n    out.append([x / sum(e) for x in e])\nreturn out",
        "z = np.array(z, dtype=np.float32)\nreturn np.exp(z) / np.exp(z).sum(axis=1).reshape(-1, 1)",
    ],
    "hidden_activations": [
        "return logistic((X @ Wh) + bh)",
        "return logistic(np.einsum('ni,ih->nh', X, Wh) + bh)",
        "return logistic(np.hstack([np.ones((len(X), 1)), X]) @ np.vstack([bh, Wh]))",
        "H = np.zeros((len(X), len(bh)))\nfor n in range(len(X)):\n    for j in range(len(bh)):\n        H[n, j] = logistic(sum(X[n][i] * Wh[i][j] for i in range(len(Wh))) + bh[j])\nreturn H",
    ],
    "output_activations": [
        "return softmax((H @ Wo) + bo)",
        "Z = np.tensordot(H, Wo, axes=1) + np.asarray(bo).reshape(1, -1)\nreturn softmax(Z)",
    ],
    "loss": [
        "return - (T * np.log(Y)).sum()",
        "return -np.log(Y[np.arange(len(Y)), T.argmax(axis=1)]).sum()",
        "total = 0\nfor i in range(len(Y)):\n    for c in range(len(Y[0])):\n        total -= T[i][c] * np.log(Y[i][c])\nreturn total",
        "return np.array([-(T * np.log(Y)).sum()])",
        "return np.float32(-(T * np.log(Y)).sum())",
    ],
    "error_output": [
        "return Y - T",
        "return [[y - t for y, t in zip(a, b)] for a, b in zip(Y, T)]",
        "E = np.array(Y)\nE[np.arange(len(Y)), T.argmax(1)] -= 1\nreturn E",
    ],
    "gradient_weight_out": [
        "return H.T @ Eo",
        "return np.einsum('nh,no->ho', H, Eo)",
        "return sum(np.outer(h, e) for h, e in zip(H, Eo))",
        "return (H.astype(np.float32).T @ Eo.astype(np.float32))",
    ],
    "gradient_bias_out": [
        "return np.sum(Eo, axis=0, keepdims=True)",
        "return Eo.sum(axis=0)",
        "return np.ones((1, len(Eo))) @ Eo",
        "return [sum(column) for column in zip(*Eo)]",
    ],
    "error_hidden": [
        "return np.multiply(np.multiply(H, (1 - H)), (Eo @ Wo.T))",
        "return H * (1 - H) * (Eo @ Wo.T)",
        "return np.einsum('no,ho,nh->nh', Eo, Wo, H * (1 - H))",
        "H, Wo, Eo = np.asarray(H), np.asarray(Wo), np.asarray(Eo)\nD = Eo @ np.transpose(Wo)\nD *= H\nD *= 1 - H\nreturn D",
    ],
    "gradient_weight_hidden": [
        "return X.T @ Eh",
        "return np.transpose(X).dot(Eh)",
        "return (np.array(Eh).T @ X).T",
    ],
    "gradient_bias_hidden": [
        "return np.sum(Eh, axis=0, keepdims=True)",
        "return Eh.sum(axis=0)",
        "return sum(Eh)",
    ],
    "backprop_gradients": [
        "H = hidden_activations(X, Wh, bh)\nY = output_activations(H, Wo, bo)\nEo = error_output(Y, T)\nJWo = gradient_weight_out(H, Eo)\nJbo = gradient_bias_out(Eo)\nEh = error_hidden(H, Wo, Eo)\nreturn [gradient_weight_hidden(X, Eh), gradient_bias_hidden(Eh), JWo, Jbo]",
        "H = 1 / (1 + np.exp(-(X @ Wh + bh)))\nE = np.exp(H @ Wo + bo)\nd = E / E.sum(1, keepdims=True) - T\ne = d @ Wo.T * H * (1 - H)\nreturn X.T @ e, e.sum(0), H.T @ d, d.sum(0)",
    ],
    "one_hot": [
        "T = np.zeros((len(t), 2))\nT[t == 1, 1] = 1\nT[t == 0, 0] = 1\nreturn T",
        "return np.eye(2)[t]",
        "return np.array([[1, 0] if c == 0 else [0, 1] for c in t])",
        "T = np.zeros((len(t), 2), int)\nT[np.arange(len(t)), t] = 1\nreturn T",
        "return np.eye(np.max(t) + 1)[t]",
        "return np.stack([1 - t, t], axis=1)",
        "return (t[:, None] == np.arange(2)).astype(float)",
        "from sklearn.preprocessing import label_binarize\nb = label_binarize(t, classes=[0, 1])\nreturn np.hstack([1 - b, b])",
    ],
    "nn": [
        "return output_activations(hidden_activations(X, Wh, bh), Wo, bo)",
        "H = 1 / (1 + np.exp(-(X @ Wh + bh)))\nE = np.exp(H @ Wo + bo)\nreturn E / E.sum(axis=1, keepdims=True)",
        "return softmax(np.dot(logistic(np.dot(X, Wh) + bh), Wo) + bo)",
    ],
    "nn_predict": [
        "return np.around(nn(X, Wh, bh, Wo, bo))",
        "return (nn(X, Wh, bh, Wo, bo) > 0.5).astype(int)",
        "Y = nn(X, Wh, bh, Wo, bo)\nreturn np.eye(Y.shape[1])[Y.argmax(axis=1)]",
        "Y = nn(X, Wh, bh, Wo, bo)\nreturn Y == Y.max(axis=1, keepdims=True)",
        "Y = output_activations(hidden_activations(X, Wh, bh), Wo, bo).astype(np.float32)\nreturn [[round(float(y)) for y in row] for row in Y]",
    ],
    "numerical_gradient": [
        "J = np.zeros_like(theta)\nfor k in range(len(theta)):\n    plus, minus = theta.copy(), theta.copy()\n    plus[k] += eps\n    minus[k] -= eps\n    J[k] = (f(plus) - f(minus)) / (2 * eps)\nreturn J",
        "J = np.zeros(theta.shape)\nfor k in np.ndindex(theta.shape):\n    old = theta[k]\n    theta[k] = old + eps\n    high = f(theta)\n    theta[k] = old - eps\n    low = f(theta)\n    theta[k] = old\n    J[k] = (high - low) / eps / 2\nreturn J",
        "J = []\nfor k in range(len(theta)):\n    theta[k] += eps\n    high = f(theta)\n    theta[k] -= 2 * eps\n    low = f(theta)\n    theta[k] += eps\n    J.append((high - low) / (2 * eps))\nreturn J",
        "steps = np.eye(len(theta)) * eps\nreturn np.array([f(theta + s) - f(theta - s) for s in steps]) / 2 / eps",
    ],
    "train": [
        "Ms = [np.zeros_like(P) for P in ls_of_params]\nlosses = [loss(nn(X, *ls_of_params), T)]\nfor i in range(nb_of_iterations):\n    Ms = update_momentum(X, T, ls_of_params, Ms, momentum_term, learning_rate)\n    ls_of_params = update_params(ls_of_params, Ms)\n    losses.append(loss(nn(X, *ls_of_params), T))\nreturn losses",
        "Wh, bh, Wo, bo = ls_of_params\nMs = [0, 0, 0, 0]\nlosses = np.empty(nb_of_iterations + 1)\nfor i in range(nb_of_iterations + 1):\n    losses[i] = loss(nn(X, Wh, bh, Wo, bo), T)\n    Js = backprop_gradients(X, T, Wh, bh, Wo, bo)\n    Ms = [momentum_term * M - learning_rate * J for M, J in zip(Ms, Js)]\n    Wh, bh, Wo, bo = [P + M for P, M in zip((Wh, bh, Wo, bo), Ms)]\nreturn losses",
        "Ms = [np.zeros(P.shape) for P in ls_of_params]\nlosses = [float(loss(nn(X, *ls_of_params), T))]\nfor i in range(nb_of_iterations):\n    for P, M, J in zip(ls_of_params, Ms, backprop_gradients(X, T, *ls_of_params)):\n        M *= momentum_term\n        M -= learning_rate * J\n        P += M\n    losses.append(float(loss(nn(X, *ls_of_params), T)))\nreturn losses",
    ],
    "update_momentum": [
        "Js = backprop_gradients(X, T, *ls_of_params)\nreturn [momentum_term * M - learning_rate * J for M, J in zip(Ms, Js)]",
        "Wh, bh, Wo, bo = ls_of_params\nnew = []\nfor M, J in zip(Ms, backprop_gradients(X, T, Wh, bh, Wo, bo)):\n    V = M.copy()\n    V *= momentum_term\n    V -= J * learning_rate\n    new.append(V)\nreturn tuple(new)",
    ],
    "update_params": [
        "return [P + M for P,M in zip(ls_of_params, Ms)]",
        "return list(map(np.add, ls_of_params, Ms))",
        "a, b, c, d = ls_of_params\nreturn a + Ms[0], b + Ms[1], c + Ms[2], d + Ms[3]",
    ],
}

_PASS = """H = hidden_activations(X, Wh, bh)
Y = output_activations(H, Wo, bo)
Eo = Y - T
Eh = H * (1 - H) * (Eo @ Wo.T)
return [X.T @ Eh, Eh.sum(0), H.T @ Eo, Eo.sum(0)]"""
_NUMERICAL = "def f(*P):\n    Wh, bh, Wo, bo = P\n    E = np.exp(1 / (1 + np.exp(-(X @ Wh + bh))) @ Wo + bo)\n    return -(T * np.log(E / E.sum(axis=1, keepdims=True))).sum()\nJs = []\nfor k, P in enumerate((Wh, bh, Wo, bo)):\n    J = np.zeros_like(P)\n    for i in np.ndindex(P.shape):\n        near = []\n        for e in (1e-5, -1e-5):\n            Q = [p.copy() for p in (Wh, bh, Wo, bo)]\n            Q[k][i] += e\n            near.append(f(*Q))\n        J[i] = (near[0] - near[1]) / 2e-5\n    Js.append(J)\nreturn Js"
_STEP = """Js = backprop_gradients(X, T, *ls_of_params)
return [momentum_term * M - learning_rate * J for M, J in zip(Ms, Js)]"""

WRONG = {
    "logistic": {
        "return 1 / (1 + np.exp(z))": "the sign in the exponent is wrong",
        "return 1 / np.exp(-z)": "the 1 in the denominator is missing",
        "return 1 / 1 + np.exp(-z)": "the parentheses of the denominator are missing",
        "return 1 // (1 + np.exp(-z))": "// rounds down to integers",
        "return np.tanh(z)": "the hyperbolic tangent is used instead",
        "y = 1 / (1 + np.exp(-z))\nreturn y * (1 - y)": "the derivative is returned instead of the function",
        "return 1 / (1 + math.exp(-z))": "a function of math takes one number, not an array",
        "z[:] = 1 / (1 + np.exp(-z))\nreturn z": "z is changed in place",
        "return np.round(1 / (1 + np.exp(-z)))": "the step function is used instead",
    },
    "softmax": {
        "return np.exp(z) / np.sum(np.exp(z), axis=0, keepdims=True)": "the sum is along the wrong axis, over the rows",
        "return np.exp(z) / np.sum(np.exp(z))": "the sum is over all entries instead of each row",
        "return z / np.sum(z, axis=1, keepdims=True)": "the exponential is missing",
        "E = np.exp(z - z.max(axis=1))\nreturn E / E.sum(axis=1, keepdims=True)": "keepdims is missing: the largest entries are applied to columns",
        "return np.exp(z)": "the division by the sum is missing",
        "return np.exp(z) / np.sum(np.exp(z), axis=1)": "keepdims is missing: the sums are applied to columns",
        "return 1 / (1 + np.exp(-z))": "the logistic function is used instead",
        "E = np.exp(-z)\nreturn E / E.sum(1, keepdims=True)": "the sign in the exponent is wrong",
        "z -= z.max(axis=1, keepdims=True)\nreturn np.exp(z) / np.exp(z).sum(1, keepdims=True)": "z is changed in place",
        "E = np.exp(z)\nprint(E / E.sum(axis=1, keepdims=True))": "the result is printed, not returned",
        "return np.exp(z) / z.sum(axis=1, keepdims=True)": "the exponential is missing in the denominator",
        "return np.array([[1 / (1 + np.exp(b - a)), 1 / (1 + np.exp(a - b))] for a, b in z])": "it is correct for 5 rows, but raises ValueError for square matrices, three classes, other widths and many rows",
    },
    "hidden_activations": {
        "return logistic(X @ Wh)": "the bias is forgotten",
        "return X @ Wh + bh": "the logistic function is missing",
        "return logistic(X @ Wh) + bh": "the bias is added after the logistic function",
        "return np.tanh(X @ Wh + bh)": "the hyperbolic tangent is used instead of the logistic function",
        "return logistic(X @ Wh - bh)": "the bias is subtracted",
        "return logistic(X * Wh + bh)": "the product is elementwise, not a matrix product",
        "return logistic(Wh @ X + bh)": "the factors are in the wrong order",
        "return logistic(X @ Wh.T + bh)": "the weights are transposed",
        "return 1 / (1 + np.exp(X @ Wh + bh))": "logistic: the sign in the exponent is wrong",
    },
    "output_activations": {
        "return softmax(H @ Wo)": "the bias is forgotten",
        "return H @ Wo + bo": "the softmax is missing",
        "return logistic(H @ Wo + bo)": "the logistic function is used instead of the softmax",
        "Z = H @ Wo + bo\nreturn np.exp(Z) / np.exp(Z).sum()": "softmax: the sum is over all entries instead of each row",
        "return softmax(H @ Wo) + bo": "the bias is added after the softmax",
    },
    "loss": {
        "return -np.sum(T * np.log(Y)) / len(Y)": "it is divided by N, the number of rows",
        "return -np.mean(T * np.log(Y))": "it is the mean over all entries instead of the sum",
        "return np.sum(T * np.log(Y))": "the sign is wrong",
        "return -np.dot(T, np.log(Y)).sum()": "a matrix product is used instead of an elementwise product",
        "return -T * np.log(Y).sum()": "the parentheses around the product are missing",
        "return -np.sum(T * Y)": "the logarithm is missing",
        "return -np.sum(Y * np.log(T))": "T and Y are swapped",
        "return -np.sum(T * np.log(Y), axis=1)": "it is not summed over the rows",
        "return -T * np.log(Y)": "it is not summed",
        "return np.sum((Y - T) ** 2)": "the squared error is used instead",
        "return -np.sum(T * np.log(Y) + (1 - T) * np.log(1 - Y))": "the terms of the other classes, (1 - T) log(1 - Y), are added",
        "return -np.sum(np.log(Y))": "T is left out",
        "return -np.sum(T * np.log10(Y))": "the logarithm is to the base 10",
        "return -np.log(np.sum(T * Y))": "the logarithm of the sum is used, not the sum of logarithms",
        "raise SystemExit(3)": "it ends the program by exit()",
        "return 1 / 0": "it raises an error",
        "raise EOFError('EOF when reading a line')": "it asks for input",
        "raise NotImplementedError": "it is not implemented yet",
        "yield Y": "the result is of type generator",
        "return '12'": "the result is of type str",
        "return np.nan": "the result is not finite",
        "return 3.25": "the result does not depend on the arguments",
        "return 1.7 * -(T * np.log(Y)).sum()": "every entry is 1.7 times what it should be",
        "return 1 if Y > T else 0": "an array is used as a condition",
    },
    "error_output": {
        "return T - Y": "the sign is wrong",
        "return (Y - T) / len(Y)": "it is divided by N, the number of rows",
        "return (Y - T) * Y * (1 - Y)": "there is an extra factor Y (1 - Y), which should cancel out",
        "return -T / Y": "it is the derivative with respect to Y, not to Z_o",
        "return (Y - T) ** 2": "it is squared",
        "Y -= T\nreturn Y": "Y is changed in place",
        "return 2 * (Y - T)": "a factor 2 is too many",
        "return np.sum(Y - T, axis=0)": "it is summed over the rows",
        "return Y": "T is left out",
        "return np.around(Y) - T": "the probabilities are rounded to classes",
    },
    "gradient_weight_out": {
        "return H.T @ Eo / len(H)": "it is divided by N, the number of rows",
        "return Eo.T @ H": "the result is transposed",
        "return H @ Eo": "H is not transposed",
        "return Eo @ H": "the factors are in the wrong order",
        "return np.einsum('nh,no->nho', H, Eo)": "it is not summed over the rows",
        "return np.outer(H[0], Eo[0])": "only the first row is used",
        "return H.T * Eo": "the factors are multiplied elementwise",
        "return -H.T @ Eo": "the sign is wrong",
        "return (H * (1 - H)).T @ Eo": "there is an extra factor H (1 - H), which belongs to the error",
        "return sum(np.outer(H[n], Eo[n]) for n in range(len(H) - 1))": "the last row is left out",
        "return np.outer(H.mean(0), Eo.mean(0))": "factors are averaged over the rows before they are multiplied",
    },
    "gradient_bias_out": {
        "return np.mean(Eo, axis=0)": "it is divided by N, the number of rows",
        "return Eo": "it is not summed over the rows",
        "return Eo.sum(axis=1)": "it is summed along the wrong axis",
        "return np.sum(Eo)": "it is summed over all entries, not only over the rows",
        "return Eo[0]": "only the first row is used",
        "return -Eo.sum(axis=0)": "the sign is wrong",
        "return np.sum(Eo, axis=0).reshape(-1, 1)": "the result is transposed",
        "return np.sum(E, axis=0)": "a name is not defined",
    },
    "error_hidden": {
        "return Eo @ Wo.T": "the derivative of the logistic function is missing",
        "s = logistic(H)\nreturn s * (1 - s) * (Eo @ Wo.T)": "the derivative is evaluated at H instead of Z_h",
        "return (1 - H ** 2) * (Eo @ Wo.T)": "the derivative of the hyperbolic tangent is used",
        "return H * (Eo @ Wo.T)": "the derivative lacks the factor 1 - H",
        "return (1 - H) * (Eo @ Wo.T)": "the derivative lacks the factor H",
        "return (H * 1 - H) * (Eo @ Wo.T)": "the parentheses around 1 - H are missing",
        "return H * (1 - H) * Eo @ Wo.T": "the parentheses around the matrix product are missing",
        "return H * (1 - H) * (Eo @ Wo)": "Wo is not transposed",
        "return H * (1 - H) * (Wo @ Eo)": "the factors Wo and Eo are in the wrong order",
        "return H * (1 - H) @ (Eo @ Wo.T)": "the derivative is multiplied by a matrix product, not elementwise",
        "return H * (1 - H)": "only the derivative is returned",
        "return H * (1 - H) * (Eo @ Wo.T) / len(H)": "it is divided by N, the number of rows",
        "return -(Eo @ Wo.T)": "the derivative of the logistic function is missing; and the sign is wrong",
        "H *= 1 - H\nreturn H * (Eo @ Wo.T)": "H is changed in place",
    },
    "gradient_weight_hidden": {
        "return Eh.T @ X": "the result is transposed",
        "return X @ Eh": "X is not transposed",
    },
    "gradient_bias_hidden": {
        "return Eh.sum(axis=1, keepdims=True)": "it is summed along the wrong axis",
        "pass": "nothing is returned",
    },
    "backprop_gradients": changed(
        _PASS,
        {
            "H * (1 - H) * (Eo @ Wo.T) → Eo @ Wo.T": "error_hidden: the derivative of the logistic function is missing",
            "Y - T → T - Y": "error_output: the sign is wrong",
            "Y - T → (Y - T) / len(X)": "error_output: it is divided by N, the number of rows",
            "[X.T @ Eh, Eh.sum(0), H.T @ Eo, Eo.sum(0)] → [H.T @ Eo, Eo.sum(0), X.T @ Eh, Eh.sum(0)]": "the order is [JWo, Jbo, JWh, Jbh]",
            "H.T @ Eo → Eo.T @ H": "gradient_weight_out: the result is transposed",
            "Eh.sum(0) → Eh.mean(0)": "gradient_bias_hidden: it is divided by N, the number of rows",
            "Y - T → Y - T\nWo = Wo - 0.02 * H.T @ Eo": "error_hidden: updated weights are used: the output weights have moved",
            "[X.T @ Eh, Eh.sum(0), H.T @ Eo, Eo.sum(0)] → {'JWh': X.T @ Eh, 'JWo': H.T @ Eo}": "the result is of type dict",
            "Wh, bh → Wh, 0": "hidden_activations: the bias is forgotten",
            "[X.T @ Eh, Eh.sum(0), H.T @ Eo, Eo.sum(0)] → [X.T @ Eh, H.T @ Eo]": "only the gradients of the weights are returned",
            "[X.T @ Eh, Eh.sum(0), H.T @ Eo, Eo.sum(0)] → [X.T @ Eh, Eh.sum(0)]": "only the gradients of the hidden layer are returned",
            "Y - T → (Y - T) * Y * (1 - Y)": "error_output: there is an extra factor Y (1 - Y), which should cancel out",
        },
    )
    | {
        _NUMERICAL: "it is a numerical derivative, not the result of backpropagation",
        _NUMERICAL.replace("1e-5, -1e-5", "1e-4, 0").replace("2e-5", "1e-4"): (
            "it is a numerical derivative, not the result of backpropagation"
        ),
    },
    "one_hot": {
        "return t": "the classes are returned without columns",
        "return np.eye(2)[1 - t]": "the columns are in the wrong order",
        "T = np.zeros((len(t), 2))\nT[t == 1, 1] = 1\nreturn T": "only the column of class 1 is filled",
        "T = np.zeros((len(t), 2))\nT[t == 0, 0] = 1\nT[t == 1, 0] = 1\nreturn T": "",
        "return np.eye(2)[t].T": "the result is transposed",
        "T = np.zeros((len(t), 2))\nT[t] = 1\nreturn T": "the rows with the numbers of the classes are filled",
        "T = np.zeros((len(t), 2))\nT[:, t] = 1\nreturn T": "the columns of all classes that occur are filled",
        "return np.eye(len(t))[t]": "there is a column for each row",
    },
    "nn": {
        "return hidden_activations(X, Wh, bh)": "H is returned",
        "return hidden_activations(X, Wh, bh) @ Wo + bo": "output_activations: the softmax is missing",
        "return output_activations(X @ Wh + bh, Wo, bo)": "hidden_activations: the logistic function is missing",
        "return output_activations(hidden_activations(X, Wh, 0), Wo, bo)": "hidden_activations: the bias is forgotten",
        "return np.around(output_activations(hidden_activations(X, Wh, bh), Wo, bo))": "Y is rounded",
        "return logistic(hidden_activations(X, Wh, bh) @ Wo + bo)": "output_activations: the logistic function is used instead of the softmax",
        "return output_activations(Wo, bo, hidden_activations(X, Wh, bh))": "it raises an error",
    },
    "nn_predict": {
        "return nn(X, Wh, bh, Wo, bo)": "the probabilities are not rounded",
        "return nn(X, Wh, bh, Wo, bo).argmax(axis=1)": "the index of the predicted class is returned",
        "return np.around(nn(X, Wh, bh, Wo, bo)[:, 1])": "only the prediction of class 1 is returned",
        "return (nn(X, Wh, bh, Wo, bo) < 0.5).astype(float)": "the classes that are not predicted are marked",
        "return np.floor(nn(X, Wh, bh, Wo, bo))": "the probabilities are rounded down",
        "return nn(X, Wh, bh, Wo, bo).astype(int)": "the probabilities are rounded down",
        "return np.around(nn(X, Wh, 0 * bh, Wo, bo))": "",
        "return nn(X, Wh, bh, Wo, bo).max(axis=1)": "the largest probabilities are returned",
    },
    "numerical_gradient": {
        "return [(f(theta + s) - f(theta)) / eps for s in eps * np.eye(len(theta))]": "the difference is forward, not central",
        "return [(f(theta + s) - f(theta - s)) / eps for s in eps * np.eye(len(theta))]": "the difference of two steps is divided by one step",
        "return [(f(theta + s) - f(theta - s)) / 2 * eps for s in eps * np.eye(len(theta))]": "the parentheses around 2 * eps are missing",
        "return [f(theta + s) - f(theta - s) / (2 * eps) for s in eps * np.eye(len(theta))]": "the difference has no parentheses",
        "return [(f(theta - s) - f(theta + s)) / (2 * eps) for s in eps * np.eye(len(theta))]": "the sign is wrong",
        "eps = 1e-4\nreturn [(f(theta + s) - f(theta - s)) / (2 * eps) for s in eps * np.eye(len(theta))]": "eps is not used, but another number",
        "return (f(theta + eps) - f(theta - eps)) / (2 * eps)": "all parameters are moved at once",
        "J = np.zeros(len(theta))\nfor k in range(len(theta)):\n    theta[k] += eps\n    high = f(theta)\n    theta[k] -= 2 * eps\n    J[k] = (high - f(theta)) / (2 * eps)\nreturn J": "earlier parameters are not restored",
        "J = np.zeros(len(theta))\nplus, minus = theta.copy(), theta.copy()\nfor k in range(len(theta)):\n    plus[k] += eps\n    minus[k] -= eps\n    J[k] = (f(plus) - f(minus)) / (2 * eps)\nreturn J": "earlier parameters are not restored",
        "J = np.zeros(len(theta))\nfor k in range(len(theta)):\n    plus = minus = theta.copy()\n    plus[k] += eps\n    minus[k] -= eps\n    J[k] = (f(plus) - f(minus)) / (2 * eps)\nreturn J": "",
        "for k in range(len(theta)):\n    s = eps * np.eye(len(theta))[k]\n    return (f(theta + s) - f(theta - s)) / (2 * eps)": "only the derivative by the first parameter is returned",
    },
    "train": changed(
        RIGHT["train"][0],
        {
            "[loss(nn(X, *ls_of_params), T)]\nfor → []\nfor": "the loss before the first iteration is missing",
            "    ls_of_params = update →     _ = update": "the parameters are not updated",
            "range(nb_of_iterations) → range(nb_of_iterations - 1)": "the loss after the last iteration is missing",
            "return losses → return losses[-1]": "only the last loss is returned",
            "return losses → return ls_of_params": "the result is a list of 4",
            "Ms, momentum_term, learning_rate) → [0 * M for M in Ms], momentum_term, learning_rate)": "the moments of earlier iterations are lost",
            "momentum_term, learning_rate) → momentum_term, -learning_rate)": "the parameters move uphill",
            "momentum_term, learning_rate) → learning_rate, momentum_term)": "momentum_term and learning_rate are swapped",
            "np.zeros_like(P) → P": "the moments start at the parameters, not at 0",
            "losses.append(loss(nn(X, *ls_of_params), T)) → losses.append(loss(nn(X, *ls_of_params), T) / len(X))": "",
        },
    ),
    "update_momentum": {
        "return backprop_gradients(X, T, ls_of_params)": "it calls a function with wrong arguments",
        **changed(
            _STEP,
            {
                "M -  → M + ": "the sign of the gradient is wrong",
                "[momentum → [-momentum": "the sign of the momentum is wrong",
                "momentum_term * M  → ": "the momentum is forgotten",
                "learning_rate *  → ": "the learning rate is forgotten",
                "momentum_term * M - learning_rate → learning_rate * M - momentum_term": "momentum and learning rate are swapped",
                "learning_rate → (1 - momentum_term) * learning_rate": "the gradient has the factor 1 - momentum",
                "*ls_of_params → *[p + momentum_term * m for p, m in zip(ls_of_params, Ms)]": "updated parameters are used: the gradient is evaluated after adding the old moments",
                "[momentum_term * M - learning_rate * J for M, J in zip( → [P + momentum_term * M - learning_rate * J for P, M, J in zip(ls_of_params, ": "the parameters after the step are returned, not the moments",
                "* J → * J / len(X)": "the gradient is divided by N, the number of rows",
            },
        ),
        "for M, J in zip(Ms, backprop_gradients(X, T, *ls_of_params)):\n    M *= momentum_term\n    M -= learning_rate * J\nreturn Ms": "Ms is changed in place",
        "P, new = list(ls_of_params), []\nfor k in range(4):\n    new.append(momentum_term * Ms[k] - learning_rate * backprop_gradients(X, T, *P)[k])\n    P[k] = P[k] + new[k]\nreturn new": "updated parameters are used: each is updated before the next gradient is computed",
    },
    "update_params": {
        "return [P - M for P, M in zip(ls_of_params, Ms)]": "the moments are subtracted",
        "return Ms": "the moments are returned without the parameters",
        "return ls_of_params + Ms": "the two lists are concatenated instead of added",
        "for P, M in zip(ls_of_params, Ms):\n    P += M\nreturn ls_of_params": "ls_of_params is changed in place",
        "for P, M in zip(ls_of_params, Ms):\n    P = P + M\nreturn ls_of_params": "the parameters do not change",
        "for P, M in zip(ls_of_params, Ms):\n    P += M": "ls_of_params is changed in place, and nothing is returned",
    },
}
"""Mistakes by the body of the function; an empty name allows any sentence."""

NARROW = {
    "logistic": {
        "z = np.clip(z, -5, 5)\nreturn 1 / (1 + np.exp(-z))": "numbers below 0.00669285 and above 0.993307 are clipped",
        "return (1 / (1 + np.exp(-z))).squeeze()": "has the shape (2,) for one row",
        "return 2 / (1 + np.exp(-z)) - 1": "2 times the correct number minus 1",
        "return np.round(1 / (1 + np.exp(-z)), 2)": "rounded to 2 decimals",
        "return z / (1 + np.exp(-z))": "it is multiplied by z",
        "return 1 / (1 + 2.7 ** -z)": "2.7 to the power -z is used instead of exp(-z)",
        "if z.shape not in C:\n    C[z.shape] = 1 / (1 + np.exp(-z))\nreturn C[z.shape]": "results of an earlier call are returned for other arguments",
    },
    "softmax": {
        "z = np.clip(z, -20, 20)\nreturn np.exp(z) / np.exp(z).sum(1)[:, None]": "z is at most some number",
        "return np.exp(z) / (np.exp(z[:, :1]) + np.exp(z[:, 1:2]))": "three classes",
        "E = np.exp(z / 2)\nreturn E / E.sum(1)[:, None]": "z is halved",
        "return z**2 / (z**2).sum(1, keepdims=True)": "z is squared instead of exp(z)",
    },
    "hidden_activations": {
        "return logistic(np.clip(X @ Wh + bh, -5, 5))": "numbers below 0.00669285",
        "return logistic((X - X.mean(0)) @ Wh + bh)": "means of its columns are subtracted from X",
    },
    "output_activations": {
        "return softmax(H @ Wo + bo)[:, ::-1]": "the columns are in reverse order"
    },
    "loss": {
        "return -(T * np.log(np.clip(Y, 0.1, 0.9))).sum()": "Y is clipped at 0.1 and 1 - 0.1",
        "return -0.5 * (T * np.log(Y)).sum()": "a factor 2 is missing",
        "return -((1 - T) * np.log(Y)).sum()": "1 - T is used instead of T",
        "return -np.log(T * Y).sum()": "the logarithm of the product is used",
        "return -(T * np.log(Y)).mean(0).sum() * 5": "it is correct for 5 rows, but wrong for 4 rows",
        "T = 0.9 * T + 0.1 / T.shape[1]\nreturn -(T * np.log(Y)).sum()": "0.1 times the mean of each row is mixed into T",
    },
    "error_output": {
        "return Y - T.T": "T is transposed",
        "return (Y - T,)": "contains the array",
        "return (Y - T) * (1 + 1j)": "complex numbers",
        "return (Y - T).astype(str)": "strings",
        "return np.squeeze(Y - T)": "has the shape (2,) for one row",
        "E = Y - T\nE[np.abs(E) < 1e-3] = 0\nreturn E": "for large numbers",
        "C[Y.shape] = C.get(Y.shape, 0) + Y - T\nreturn C[Y.shape]": "results of earlier calls are added: the function keeps state",
        "C[len(C)] = 1\nreturn Y - T if len(C) % 2 else T - Y": "a second call with the same arguments returns another result: the function keeps state",
    },
    "gradient_weight_out": {
        "return np.clip(H.T @ Eo, -5, 5)": "numbers below -5 and above 5 are clipped",
        "return 1 + H.T @ Eo": "the correct number plus 1",
        "return np.round(H.T @ Eo, 4)": "rounded to 4 decimals",
        "return H[:32].T @ Eo[:32]": "only the first 32 rows are used",
        "return H[::-1].T @ Eo": "the rows of H are in reverse order or the rows of Eo are in reverse",
    },
    "gradient_bias_out": {
        "return np.clip(Eo.sum(0), -1, 1)": "numbers below -1 and above 1 are clipped",
        "return np.squeeze(Eo).sum(0)": "has the shape () for one row",
        "return np.median(Eo, axis=0)": "median is used instead of the sum",
    },
    "error_hidden": {
        "return np.maximum(H * (1 - H), 0.01) * (Eo @ Wo.T)": "H * (1 - H) is at least 0.01",
        "return H * (1 - H) * (Eo @ Wo[::-1].T)": "the rows of Wo are in reverse order",
        "return (H * (1 - H) + 0.1) * (Eo @ Wo.T)": "0.1 is added to H * (1 - H)",
    },
    "gradient_weight_hidden": {
        "return X.reshape(X.shape[::-1]) @ Eh": "reshaped where it should be transposed"
    },
    "backprop_gradients": changed(
        _PASS,
        {
            "[X.T @ Eh, Eh.sum(0), H.T @ Eo, Eo.sum(0)] → [np.clip(J, -5, 5) for J in (X.T @ Eh, Eh.sum(0), H.T @ Eo, Eo.sum(0))]": "are clipped",
            "[X.T @ Eh, Eh.sum(0), → [X.T @ Eh / len(X), Eh.sum(0) / len(X),": "parts 0 and 1 of the",
            "Eh.sum(0), H.T @ Eo, Eo.sum(0) → Eh.mean(0), H.T @ Eo, Eo.mean(0)": "divided by N",
            "(X, Wh, bh)\n → (X, Wh, bh)\nH = C.setdefault((X.shape, H.shape), H)\n": "keeps state",
        },
    ),
    "update_momentum": changed(
        _STEP,
        {
            "momentum_term * M - learning_rate → 0.9 * M - 0.02": "for each momentum_term and learning_rate it is 0.9 M -0.02 J",
            "momentum_term → (momentum_term or 0.9)": "with momentum_term 0 and learning_rate 0.001 it is 0.9 M",
            "learning_rate → min(learning_rate, 0.9)": "learning_rate 1 it is 0.6 M -0.9 J",
            "return → Ms = C.get(Js[2].shape, Ms)\nC[Js[2].shape] = Ms\nreturn": "keeps state",
        },
    ),
    "update_params": {
        "return [P + 1.9 * M for P, M in zip(ls_of_params, Ms)]": "0.9 times Ms is added"
    },
}
"""Mistakes that appear only in some cases or need a general sentence, which contains
these words.
"""

_FORWARD_2_3_2 = """Wh, bh, Wo, bo = theta[:6].reshape(2, 3), theta[6:9], theta[9:15].reshape(3, 2), theta[15:]
N = len(X)
H = 1 / (1 + np.exp(-(X @ Wh + bh)))
E = np.exp(H @ Wo + bo)
Y = E / E.sum(axis=1, keepdims=True)
loss = -np.sum(T * np.log(Y)) / N
"""
_BACK_2_3_2 = """d = (Y - T) / N
e = H * (1 - H) * (d @ Wo.T)
return loss, np.concatenate([(X.T @ e).ravel(), e.sum(axis=0), (H.T @ d).ravel(), d.sum(axis=0)])"""
RIGHT_NETWORK = _FORWARD_2_3_2 + _BACK_2_3_2
"""The loss and gradient of the network 2-3-2 with a mean loss."""

_LOSS = "-np.sum(T * np.log(Y)) / N"
_END = "[(X.T @ e).ravel(), e.sum(axis=0), (H.T @ d).ravel(), d.sum(axis=0)]"
_WRONG_NETWORK = {
    "/ N\ne → \ne": "the sum over rows is not divided by N = 7",
    "H * (1 - H) * (d → (d": "the derivative of layer 1 (Logistic) is missing",
    "H * (1 - H) * (d → (1 - H**2) * (d": "layer 1 (Logistic) has the derivative of Tanh",
    "H * (1 - H) * (d → H * (d": "multiplies delta by its output instead of its derivative",
    "(Y - T) / N → (T - Y) / N": "its sign is wrong",
    "(Y - T) / N → Y / N": "the targets T are missing",
    "(Y - T) / N → (Y - T) * Y * (1 - Y) / N": "delta is multiplied by the derivative Y (1 - Y) of the link",
    "(X.T @ e) → (e.T @ X)": "it is transposed",
    "(H.T @ d) → (d.T @ H)": "it is transposed",
    "e.sum(axis=0) → e.mean(axis=0)": "1/N = 1/7",
    "d.sum(axis=0) → 0 * d[0]": "0 everywhere",
    "d.sum(axis=0) → d[0]": "only this bias is wrong",
    "(Y - T) / N → 2 * (Y - T) / N": "2 times",
    "np.log(Y)) / N → np.log(Y))": "the loss is N = 7 times the expected one",
    f"{_LOSS} → -np.mean(T * np.log(Y))": "the loss is 1/2 of the expected one",
    f"{_LOSS} → {_LOSS[1:]}": "its sign is wrong",
    "return loss, np → return np": "it does not return two values",
    "(X.T @ e).ravel(),  → ": "the gradient does not have one entry per parameter",
    "d = (Y - T) / N → X /= 2\nd = (Y - T) / N": "X is changed in place",
    "axis=1, keepdims=True → axis=0": "the softmax is computed over the rows",
    "N = len(X) → N = 7": "N is always 7",
    "np.log(Y) → np.log(np.clip(Y, 0.1, 0.9))": "Y is clipped at 0.1 and 1 - 0.1",
    "-(X @ Wh + bh) → -np.clip(X @ Wh + bh, -5, 5)": "the output of layer 0 (Dense) is clipped at -5 and 5",
    f"np.concatenate({_END}) → np.clip(np.concatenate({_END}), -1, 1)": "the gradient is clipped at -1 and 1",
    "theta[:6].reshape(2, 3) → theta[:6].reshape(3, 2).T": "layer 0 (Dense) W is read in column-major order",
    "X @ Wh + bh → X @ Wh": "layer 0 (Dense) b is left out",
    "1 / (1 + np.exp(-(X @ Wh + bh))) → np.tanh(X @ Wh + bh)": "layer 1 (Logistic) is Tanh in the forward pass",
    f"{_END} → [e.sum(axis=0), (X.T @ e).ravel(), d.sum(axis=0), (H.T @ d).ravel()]": "bias of each layer precedes",
    f"{_END} → [e.sum(axis=0), (X.T @ e).ravel(), (H.T @ d).ravel(), d.sum(axis=0)]": "another order than theta: layer 0",
    f"({_END}) → ({_END}) + 0.01 * theta": "0.01 times theta is added",
    "(d @ Wo.T) → (d @ np.abs(Wo).T)": "the absolute value of layer 2 (Dense) W in the backward pass is taken",
    f"loss, np.concatenate({_END}) → np.concatenate({_END}), loss": "before the loss",
}
WRONG_NETWORK = changed(RIGHT_NETWORK, _WRONG_NETWORK)
