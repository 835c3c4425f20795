"""What to do instead of using a name of another library such as scikit-learn, Keras or PyTorch."""

NO_DEVICES = "vecprop runs on the processor: leave it out"

ADVICE: dict[str, dict] = {
    "Network": {
        "call train(network, network.init(seed=0), X, T, optimizer=Adam(), epochs=100)": (
            "fit train compile fit-predict"
        ),
        "parameters are a separate array, theta = network.init(seed=0), and network.layout.views(theta) names them": (
            "parameters weights theta params state-dict load-state-dict get-weights"
            " set-weights named-parameters trainable-variables trainable-weights"
            " variables coefs- bias biases kernel"
        ),
        "network.layout.size is the number of parameters": (
            "n-parameters num-parameters count-params size"
        ),
        "call network.predict(theta, X)": (
            "predict-proba predict-classes apply call transform"
        ),
        "call network.loss(theta, X, T)": "evaluate score loss-fn criterion",
        "call network.loss_and_gradient(theta, X, T)": (
            "grad gradient gradients value-and-grad backprop"
        ),
        'call save(TrainedNetwork(network, theta), "model.npz") with vecprop.export.TrainedNetwork': (
            "save dump to-file"
        ),
        "create a new Network with all layers": "add append pop insert",
        "a network has no modes, devices or stored gradients: leave the call out": (
            "eval to cuda cpu gpu zero-grad requires-grad no-grad half float double"
        ),
    },
    "BaseEstimator": {
        'call vecprop.save(model, "model.npz")': (
            "save save-model dump to-file save-weights to-pickle export"
        ),
        'call vecprop.load("model.npz")': "load load-model load-weights from-file",
        'call vecprop.export.to_onnx(model, "model.onnx")': "to-onnx onnx export-onnx",
        "call score(X, y), or functions of sklearn.metrics": (
            "evaluate accuracy r2 metrics"
        ),
        "call sklearn.inspection.permutation_importance(model, X, y)": (
            "feature-importances- feature-importances feature-importance importances"
            " importances- shap-values explain plot-importance varimp coef-"
        ),
        "call model.plot.loss()": (
            "plot-loss plot-history plot-loss-curve plot-training"
        ),
        "settings are passed to the constructor, and fit(X, y) trains the model": (
            "compile train learn train-on-batch"
        ),
        "use sklearn.model_selection.cross_validate(model, X, y)": (
            "cross-validate cross-val-score cv cv-results-"
        ),
        "use MLPSearchCV(model, grid).fit(X, y)": (
            "best-params- best-estimator- best-score- tune search grid-search"
        ),
        NO_DEVICES: "to cuda cpu gpu device",
        "leave the call out": "eval zero-grad",
        "call predict(X)": (
            "predict-classes call forward transform fit-predict fit-transform"
        ),
    },
    "MultilayerPerceptron": {
        "use coefs_, intercepts_ or theta_": (
            "weights get-weights set-weights parameters params state-dict coef-"
            " intercept- named- parameters biases layers"
        ),
        "use network_": "model model- module network net",
        "use loss_curve_ and validation_loss_curve_": (
            "history history- losses loss-history evals-result loss-curve"
        ),
        "call model.network_.summary()": "summary info describe",
    },
    "MLPRegressor": {
        "a regressor has no classes: use MLPClassifier": (
            "predict-proba classes- predict-log-proba"
        )
    },
    "TableModel": {
        "call vecprop.tables.evaluate(model, table), or score": (
            "evaluate report accuracy auc metrics leaderboard r2 rmse validate"
        ),
        "call vecprop.tables.evaluate(model, table).importances, or model.explain(rows)": (
            "feature-importances- feature-importances feature-importance importances"
            " importances- shap-values plot-importance varimp coef-"
        ),
        "use loss_curves_ and validation_loss_curves_": (
            "history history- losses loss-curve- loss-history evals-result"
        ),
        "use encoder_.kinds, feature_names_in_ and notes_": (
            "summary info describe features- features columns- kinds-"
        ),
        "use ensemble_.views": (
            "coefs- intercepts- weights theta- network- networks- model- estimators-"
            " models- layers"
        ),
        "call refit(table)": "partial-fit update incremental-fit",
        "call predict(X)": (
            "predict-classes call forward transform fit-predict fit-transform"
        ),
    },
    "TabularRegressor": {
        "a regressor has no classes: use TabularClassifier": (
            "predict-proba classes- predict-log-proba"
        ),
        "call predict_interval(X)": (
            "interval predict-quantiles predict-std predict-quantile predict-dist"
            " intervals"
        ),
    },
    "TabularClassifier": {
        "a classifier has no intervals: use predict_proba(X)": "predict-interval",
        "call predict_proba(X) and take the logarithm": "predict-log-proba",
    },
    "MLPEnsemble": {
        "use estimators_": "members models networks estimators members- models-"
    },
    "MLPSearchCV": {
        "use best_estimator_": "best-model best-model- model best-estimator",
        "use cv_results_, or call to_frame()": (
            "results results- cv-results leaderboard"
        ),
        "use best_score_ and best_params_": "best-score best-params best",
    },
    "TrainingResult": {
        "call network.predict(result.theta, X)": "predict predict-proba forward call",
        "use result.theta": "theta- params parameters weights best best-theta coefs- x",
        "the losses are in result.history.loss and result.history.validation_loss": (
            "loss losses validation-loss val-loss history- loss-curve-"
        ),
        "call result.plot()": "plot-loss plot-history",
        "call network.loss(result.theta, X, T)": "score evaluate",
        "use result.state.epoch": "epochs epoch n-iter- n-iter",
        "the network is the one that was passed to train": "network model net network-",
        'call save(TrainedNetwork(network, result.theta), "model.npz") with vecprop.export.TrainedNetwork': (
            "save dump"
        ),
    },
    "History": {
        "use loss, validation_loss or validation_score, or call to_frame()": (
            "history losses train-loss training-loss epoch epochs accuracy val-accuracy"
            " train-losses"
        ),
        "use validation_loss": "val-loss valid-loss val-losses",
        "call vecprop.pictures.plot_loss(history)": "plot plot-loss",
    },
    "Report": {
        "use passed or verdict": "ok success is-correct correct valid result status",
        "print the report, or use rows: each has error, tolerance and index": (
            "max-error errors error print show max-diff"
        ),
    },
    "Evaluation": {
        'use metrics["accuracy"].value, and print(list(evaluation.metrics)) for all names': (
            "accuracy auc f1 roc-auc rmse r2 mae score log-loss precision recall"
            " results metric"
        ),
        'call report("report.html")': (
            "plot save html to-html show confusion-matrix save-html"
        ),
        "print the evaluation": "print display",
    },
    "Optimizer": {
        "call optimizer.step(theta, gradient, state), or train": (
            "apply-gradients minimize apply-updates apply optimize"
        ),
        "use learning_rate": "lr eta rate step-size",
        "the state is a separate dict: optimizer.init(theta)": (
            "state-dict param-groups state load-state-dict"
        ),
        "gradients are not stored: leave the call out": "zero-grad",
    },
    "Schedule": {
        "call factor(step, steps, state)": "step get-last-lr get-lr lr last-epoch"
    },
    "Layer": {
        "parameters are in theta: network.layout.views(theta)": (
            "weight weights bias biases kernel w b get-weights params state-dict"
        ),
        "use outputs": "units out-features width neurons",
        "the number of inputs follows from the network": (
            "in-features input-dim input-shape"
        ),
        "an activation is a separate layer, as in [Dense(3), ReLU()]": "activation",
        "use rate": "p drop",
        "use derivative(z, y) or backward": "gradient grad prime deriv",
    },
    "Loss": {
        "use delta(Z, T), the gradient with respect to Z": (
            "backward gradient grad derivative prime"
        ),
        "use value(Z, T)": "forward call loss compute",
    },
    "()": {
        "pass optimizer=Adam(learning_rate=0.001)": (
            "lr learning-rate eta step-size momentum"
        ),
        "pass the loss to Network": "loss criterion",
        "pass penalty=L2(0.0001) to Network, or optimizer=AdamW(weight_decay=0.01) to train": (
            "weight-decay alpha l2"
        ),
        "pass callbacks=[ProgressBar()]": "verbose progress",
        "add a layer, as in [Dense(3), ReLU(), Dropout(0.5)]": "activation dropout",
        NO_DEVICES: "device cuda gpu use-gpu accelerator devices use-cuda tree-method",
        "the precision follows from the data: convert X with X.astype(numpy.float32)": (
            "dtype precision float32"
        ),
        "the numbers of inputs and outputs follow from X and y: leave it out": (
            "input-dim output-dim in-features out-features input-shape input-size"
            " output-size n-inputs n-outputs num-classes n-classes num-class"
        ),
        "every Dense layer has biases: leave it out": "use-bias bias fit-intercept",
        "the loss takes logits: leave it out": "from-logits",
        "pass sample_weight to fit": "weights weight",
        "a lower loss and a higher score are always better: leave it out": "mode",
        "a checkpoint saves the whole state of training at its end and every few seconds": (
            "save-best-only save-freq save-last"
        ),
    },
    "train_population()": {
        "each Member has its own settings: pass it to Member": (
            "epochs batch-size shuffle optimizer early-stopping"
        )
    },
    "Network()": {
        "pass it to train": (
            "optimizer epochs batch-size lr learning-rate callbacks seed"
        )
    },
    "GradientDescent()": {"use Momentum or Nesterov instead": "momentum nesterov"},
    "check_gradients()": {
        "tolerances follow from the rounding errors: leave it out": (
            "eps epsilon rtol delta step h"
        )
    },
    "read_table()": {
        "separators and encodings are detected: leave it out": (
            "sep separator delimiter encoding decimal"
        ),
        "read the file with pandas, and pass the data frame instead of a path": (
            "header skiprows usecols nrows dtype index-col na-values parse-dates"
            " sheet-name"
        ),
    },
    "predict_interval()": {
        "pass coverage, such as 0.9": (
            "alpha level confidence quantiles quantile interval"
        )
    },
    "predict_proba()": {
        "call predict_interval(X, coverage) of a regressor": "interval coverage"
    },
    "BaseEstimator()": {
        "pass hidden_layer_sizes=(64, 64), one number for each hidden layer": (
            "n-hidden num-layers n-layers hidden-dim hidden-dims num-hidden depth"
            " n-units hidden-units"
        ),
        "networks are not trees: leave it out": (
            "max-depth min-child-weight num-leaves max-leaves subsample max-leaf-nodes"
            " gamma"
        ),
        "use a classifier or a regressor, with loss= if it has one": "objective task",
    },
    "MultilayerPerceptron()": {
        "put a StandardScaler before the model in a pipeline": (
            "scaler normalize scale standardize preprocess"
        ),
        "pass the number of threads as n_jobs": "workers",
    },
    "TableModel()": {
        'declare kinds as columns={"name": "category"}': (
            "cat-features categorical-features categorical-columns numeric-features"
            " numerical-features cat-cols features num-features"
        ),
        'set columns={"name": "ignore"}': (
            "id id-column ignored-columns drop-columns exclude ignore drop"
        ),
        "inputs are scaled automatically: leave it out": (
            "scaler normalize scale standardize preprocess"
        ),
        "use n_estimators, the number of folds, and vecprop.tables.evaluate for metrics": (
            "cv folds n-splits metric eval-metric"
        ),
        "it was removed: lower max_iter or n_estimators instead": "stages time-limit",
        'pass it to fit, as in fit("table.csv", memory="4GB")': "memory",
    },
    "TabularClassifier()": {
        "a classifier minimizes the log loss: leave it out": "loss criterion"
    },
    "activation=": {
        "leave it out, because the loss of a classifier contains the softmax of the outputs": (
            "softmax"
        )
    },
    "--": {
        "vecprop runs on the processor: leave it out": "gpu device cuda accelerator",
        "the optimizer is always AdamW: leave it out": "optimizer solver",
        "progress and notes are shown unless --quiet is given: leave it out": (
            "verbose progress"
        ),
        "it was removed: lower --max-iter or --n-estimators instead": (
            "stages time-limit"
        ),
        "inputs are scaled automatically: leave it out": (
            "scaler normalize scale standardize preprocess"
        ),
    },
    "vecprop": {
        "vecprop has only dense networks: see docs/explanation/limits.md": (
            "conv1d conv2d conv3d lstm gru rnn embedding transformer attention"
            " multiheadattention maxpool2d maxpooling2d flatten conv convolution"
            " simplernn"
        ),
        "use NumPy arrays": (
            "tensor variable array dataloader dataset tensordataset from-numpy"
            " parameter float32 float64"
        ),
        "import layers, losses and optimizers from vecprop itself, as in vecprop.Dense": (
            "nn optim layers losses optimizers keras activations f functional linen"
            " initializers regularizers"
        ),
        "use vecprop.save(model, path) and vecprop.load(path)": (
            "load-model save-model dump load-state-dict"
        ),
        "use sklearn.model_selection or sklearn.preprocessing": (
            "train-test-split standardscaler cross-val-score cross-validate kfold"
            " minmaxscaler pipeline make-pipeline labelencoder onehotencoder"
        ),
        "use sklearn.metrics": (
            "metrics accuracy accuracy-score mean-squared-error r2-score f1-score"
        ),
        "use TabularClassifier or TabularRegressor": (
            "automl tabularmodel tabularpredictor tabular xgbclassifier xgbregressor"
        ),
        "use vecprop.read_table(path), or pandas": (
            "read-csv read-excel read-parquet dataframe dmatrix"
        ),
        "pass seed= to network.init and train, or random_state= to an estimator": (
            "set-seed manual-seed set-random-seed seed prngkey random-seed"
        ),
        "call network.loss_and_gradient(theta, X, T)": (
            "grad value-and-grad autograd no-grad gradienttape backward"
        ),
        "use Adam, RMSProp or another optimizer of vecprop": (
            "adadelta adagrad adamax nadam lion adafactor"
        ),
        "use a schedule of vecprop, such as Cosine or Adaptive": (
            "steplr exponentiallr lambdalr exponentialdecay multisteplr"
        ),
        "call model.explain(rows) of a TabularClassifier or TabularRegressor": (
            "explain shap permutation-importance"
        ),
        "pass the number of inputs to Network": "input inputlayer",
        NO_DEVICES: "cuda device gpu to-device",
    },
}
"""Advice with the names in other libraries: of attributes by class, of keyword
arguments by "function()" or "class()" ("()" for all), of values by "setting=", of
options of commands by "--", and of names of the package.
"""

SETTINGS = {
    "activation": (
        "pass one of these names, or an object derived from vecprop.extend.Activation"
    ),
    "callbacks": "pass a list of functions, such as callbacks=[function]",
    "checkpoint": 'pass Checkpoint("folder")',
    "columns": 'pass a dict of names and kinds, such as columns={"age": "number"}',
    "early_stopping": (
        "pass early_stopping=True, and the number of epochs as n_iter_no_change"
    ),
    "loss": (
        "regressors have losses of numbers, and classifiers losses of classes; for"
        " another loss pass an object derived from vecprop.extend.Loss"
    ),
    "hidden_layer_sizes": "pass the width of each hidden layer, such as (64, 64)",
    "n_jobs": "pass the number of threads, or None for all",
    "target": "pass the name of a column, or a list of names",
    "workers": "pass vecprop.cluster.DaskWorkers(), or the number of threads as n_jobs",
}
"""For each setting, what to pass instead of an invalid value."""
