#!/bin/sh
# Run tests on ARM, emulated by QEMU: sh tests/aarch64.sh FOLDER [arguments of pytest]
#
# The first call fetches Debian's Python and the wheels for ARM into FOLDER, as root, on Debian 13. A call that names no
# tests runs those of the compiled networks and their training, which takes half an hour. Kernels stay in FOLDER. Tests
# that start processes do not run under emulation, and its speed means nothing.
set -e
python=3.13
here=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
root=$folder/root

if ! [ -e "$folder/ready" ]; then
    apt-get install -y -q qemu-user-static python3-pip
    dpkg --add-architecture arm64
    apt-get update -q
    mkdir -p "$folder/packages" "$root"
    cd "$folder/packages"
    for name in libc6 libgcc-s1 libstdc++6 libgomp1 zlib1g libexpat1 libffi8 libssl3t64 libbz2-1.0 liblzma5 libzstd1 \
        libsqlite3-0 libuuid1 libtinfo6 python$python-minimal libpython$python-minimal libpython$python-stdlib; do
        apt-get download -q "$name:arm64"
    done
    for package in *.deb; do dpkg -x "$package" "$root"; done
    ln -sfn usr/lib "$root/lib"
    platforms=$(printf -- "--platform manylinux%s_aarch64 " _2_28 _2_27 _2_17 2014)
    python3 -m pip install -q --target "$folder/site" $platforms --python-version $python --only-binary=:all: numpy \
        scipy scikit-learn numba array-api-compat lazy-loader threadpoolctl platformdirs pytest hypothesis array-api-strict
    touch "$folder/ready"
fi

cd "$here"
[ $# -gt 0 ] || set -- tests/compiled/test_compiled_network.py tests/compiled/test_compiled_training.py
exec qemu-aarch64-static -L "$root" -U OPENBLAS_CORETYPE -U OPENBLAS_L2_SIZE \
    -E LD_LIBRARY_PATH="$root/usr/lib/aarch64-linux-gnu" -E PYTHONHOME="$root/usr" \
    -E PYTHONPATH="$folder/site:$here/src" -E VECPROP_CACHE_DIR="$folder/kernels" -E PYTHONDONTWRITEBYTECODE=1 \
    "$root/usr/bin/python$python" -m pytest -m "not long" -p no:cacheprovider "$@"
