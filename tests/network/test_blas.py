"""On Linux MLX's products go through OpenBLAS, which the tools load before it."""

import subprocess
import sys

import pytest

PRODUCT = """
from pxtools import blas
import time
import mlx.core as mx
import numpy as np

mx.set_default_device(mx.Device(mx.cpu))
x = np.random.default_rng(0).standard_normal((768, 768), np.float32)
y = mx.array(x)

def best(product):
    times = []
    for _ in range(7):
        began = time.perf_counter()
        product()
        times.append(time.perf_counter() - began)
    return min(times)

mx.eval(y @ y)
np.testing.assert_allclose(np.array(y @ y), x @ x, rtol=1e-3, atol=1e-3)
print(best(lambda: mx.eval(y @ y)) / best(lambda: x @ x))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have a fast BLAS of their own")
def test_products_are_not_those_of_the_reference_blas():
    """The wheel's own BLAS takes some 30 times as long as numpy's OpenBLAS."""
    words = [sys.executable, "-c", PRODUCT]
    one_core = {"OPENBLAS_NUM_THREADS": "1", "PATH": ""}
    done = subprocess.run(words, capture_output=True, text=True, env=one_core, check=True)
    assert float(done.stdout) < 10
