"""Run what `weir export` writes in onnxruntime, and compare with `weir logprob` and `weir transform`. Usage: open_onnx.py
WEIR [--seed N, which is for other tests]. Exits with 77 (skipped) where a package is missing."""
import json
import os
import subprocess
import sys
import tempfile

try:
    import numpy as np
    import onnx
    import onnxruntime
except ImportError as missing:
    print(f"skipped: {missing}; install it with: pip install numpy onnx onnxruntime")
    print("open_onnx: 0 passed, 0 failed")
    sys.exit(77)

# Flows of three features: of one dimension each that ops are in. In float64 too, but for convolutions, which
# onnxruntime has in float32 alone.
BOTH = [
    "(maf(16,16)-flip)*2-standardize",
    "iaf(8,activation=elu)-affine-orthogonal",
    "(rqs(8,8)-permute)*2-whiten",
    "rqsar(8,activation=silu)-hh*2-leaky",
    "coupling(8,transformer=quadratic_spline,network=residual,activation=gelu)-lu-svd-qr",
    "coupling(8,transformer=linear_spline)-actnorm-batchnorm",
    "radial*2-on([1,3],maf(4))-invert(maf(4))",
    "student:maf(8)-loc",
    "resampled(8):coupling(8,transformer=additive)",
    "mixture(3):scale-marginal",
    "product_of([1,3]:laplace|[2]:logistic):loc",
    "mixture_of(maf(8)|rqs(8)|whiten):standardize",
]
ONE_WAY = [
    ("log_prob", "bnaf"),
    ("log_prob", "coupling(8,transformer=sum_of_squares)"),
    ("log_prob", "coupling(8,transformer=bernstein)-coupling(8,transformer=umnn)"),
    ("log_prob", "coupling(8,transformer=deep_sigmoidal)-coupling(8,transformer=cubic_spline)"),
    ("log_prob", "vonmises:coupling(8,transformer=circular_rational_quadratic)"),
    ("log_prob", "gaussian_mixture(2):scale"),
]
REFUSED = [("sample", "bnaf", "root_triangular"), ("log_prob", "cnf(8)", "ode"), ("log_prob", "planar", "root")]
TOLERANCE = {"float32": 1e-5, "float64": 1e-12}


command = os.path.abspath(sys.argv[1])


def weir(*words, fails=False):
    done = subprocess.run([command, *words], capture_output=True, text=True)
    assert (done.returncode != 0) == fails, (words, done.stderr)
    return done.stderr


def run(path, **inputs):
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path)
    random = np.random.default_rng(3)
    for i in session.get_inputs():
        shape = [len(x), *i.shape[1:]]
        if i.name not in inputs:
            inputs[i.name] = random.normal(size=shape) if i.name.startswith("normal") else random.uniform(size=shape)
    feed = {i.name: inputs[i.name].astype({"tensor(float)": "f4"}.get(i.type, "f8")) for i in session.get_inputs()}
    return feed, dict(zip([o.name for o in session.get_outputs()], session.run(None, feed)))


def agree(got, expected, dtype, what):
    finite = np.isfinite(expected)
    assert (np.isfinite(got) == finite).all() and (got[~finite] == expected[~finite]).all(), (what, got, expected)
    error = np.abs(got - expected)[finite] / (1 + np.abs(expected[finite]))
    assert error.max() < TOLERANCE[dtype], (what, dtype, error.max())


def log_prob(model, rows, *options):
    np.save("points.npy", rows)
    weir("logprob", model, "points.npy", *options, "-o", "log_prob.npy")
    return np.load("log_prob.npy").ravel()


def check_log_prob(formula, dtype):
    weir("export", "m.safetensors", "-o", "log_prob.onnx")
    _, out = run("log_prob.onnx", x=x)
    agree(out["log_prob"], log_prob("m.safetensors", x), dtype, formula)


def check_sample(formula, dtype):
    weir("export", "m.safetensors", "--function", "sample", "-o", "sample.onnx")
    feed, out = run("sample.onnx")
    # In float32 x is rounded before its log-density is taken.
    agree(out["log_prob"], log_prob("m.safetensors", out["x"]), dtype, formula)
    if list(feed) == ["normal"] and "(2" not in formula:
        np.save("z.npy", feed["normal"])
        weir("transform", "m.safetensors", "z.npy", "--inverse", "-o", "x.npy")
        agree(out["x"], np.load("x.npy").reshape(out["x"].shape), dtype, formula)


def fit(formula, dtype, *options):
    weir("fit", "rows.npy", "--flow", formula, "--dtype", dtype, "--epochs", "2", *options, "-o", "m.safetensors")


directory = tempfile.TemporaryDirectory()
os.chdir(directory.name)
random = np.random.default_rng(2)
x = random.normal(size=(40, 3)).astype("f4") @ np.float32([[1, 0.5, 0], [0, 1, -0.5], [0, 0, 1]])
np.save("rows.npy", random.normal(size=(200, 3)).astype("f4"))
for dtype in "float32", "float64":
    for formula in BOTH:
        fit(formula, dtype)
        check_log_prob(formula, dtype)
        check_sample(formula, dtype)
    for function, formula in ONE_WAY:
        fit(formula, dtype)
        (check_log_prob if function == "log_prob" else check_sample)(formula, dtype)
for function, formula, op in REFUSED:
    fit(formula, "float32", *(["--objective", "flow-matching"] if "cnf" in formula else []))
    message = weir("export", "m.safetensors", "--function", function, "-o", "refused.onnx", fails=True)
    assert op in message and formula.split("(")[0] in message and not os.path.exists("refused.onnx"), message

# Images.
x = random.uniform(size=(20, 32)).astype("f4")
np.save("rows.npy", x)
fit("image(4,4,2,coupling(8,network=conv,mask=checkerboard)-conv1x1-actnorm)", "float32")
check_log_prob("image", "float32")
check_sample("image", "float32")

# A context, and columns that are positive and bounded.
a, b, c = random.lognormal(size=200), random.uniform(2, 5, 200), random.normal(size=200)
np.savetxt("t.csv", np.c_[a, b, c], delimiter=",", header="a,b,c", comments="")
weir("fit", "t.csv", "--flow", "(maf(8)-flip)*2", "--columns", "a:positive, b:(2,5), c:real", "--context", "c",
     "--epochs", "2", "-o", "m.safetensors")
weir("export", "m.safetensors", "-o", "log_prob.onnx")
_, out = run("log_prob.onnx", x=np.c_[a, b], context=c[:, None])
weir("logprob", "m.safetensors", "t.csv", "-o", "log_prob.npy")
agree(out["log_prob"], np.load("log_prob.npy").ravel(), "float32", "columns")
_, outside = run("log_prob.onnx", x=np.float64([[-1, 3], [1, 6], [1, 2]]), context=np.zeros((3, 1)))
assert (outside["log_prob"] == -np.inf).all(), outside
x = a
weir("export", "m.safetensors", "--function", "sample", "-o", "sample.onnx")
feed, out = run("sample.onnx", context=c[:, None])
assert (out["x"][:, 0] > 0).all() and ((out["x"][:, 1] > 2) & (out["x"][:, 1] < 5)).all()
_, back = run("log_prob.onnx", x=out["x"], context=c[:, None])
agree(back["log_prob"], out["log_prob"], "float32", "columns back")

# Whole numbers have no density that is a function of them alone.
np.savetxt("n.csv", np.c_[random.poisson(3, 200), c], delimiter=",", header="n,c", comments="")
weir("fit", "n.csv", "--flow", "maf(8)", "--epochs", "1", "-o", "n.safetensors")
assert "'n'" in weir("export", "n.safetensors", "-o", "refused.onnx", fails=True)
os.chdir("/")
print("open_onnx: 1 passed, 0 failed")
