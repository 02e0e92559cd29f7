#!/bin/sh
# Weir from the build systems that its users have: build_systems.sh BUILD-DIRECTORY LIBRARY-DIRECTORY SOURCE-DIRECTORY
# [--seed N, which is for other tests]. The programs of tools/examples/build are built against Weir as it is installed, by
# pkg-config, CMake and Meson, in C and C++, with the shared library and the static one, and run; and Meson takes a
# checkout as a subproject. What isn't there (CMake, a compiler of C++) is left out.
set -eu

build=$1 libdir=$2 source=$3
# shellcheck source-path=SCRIPTDIR source=as_installed
. "$(dirname "$0")/as_installed"
examples=$source/tools/examples
# shellcheck source-path=SCRIPTDIR source=results
. "$(dirname "$0")/results"

# works PROGRAM yes|no: it runs, and needs the shared library, or not.
works() {
    "$1" || return
    needs=no
    if readelf -d "$1" | grep -q 'NEEDED.*libweir'; then needs=yes; fi
    [ "$needs" = "$2" ] || { echo "$1 needs the shared library: $needs"; return 1; }
}

# by_pkg_config NAME COMPILER SOURCE yes|no
by_pkg_config() {
    static=
    [ "$4" = yes ] || static=--static
    # Where there is a static library and a shared one, the linker takes the shared one, unless it is told by name.
    # shellcheck disable=SC2046,SC2086
    $2 "$3" $(pkg-config --cflags --libs $static weir | if [ "$4" = yes ]; then cat; else sed 's/-lweir/-l:libweir.a/'; fi) \
        -o "$scratch/$1" || return
    works "$scratch/$1" "$4"
}

by_cmake() {
    cmake -S "$examples/build" -B "$scratch/cmake" -DCMAKE_PREFIX_PATH="$scratch/root${libdir%%/lib*}" || return
    cmake --build "$scratch/cmake"
}

# asks_cmake VERSION
asks_cmake() {
    mkdir -p "$scratch/asks"
    printf 'cmake_minimum_required(VERSION 3.16)\nproject(asks NONE)\nfind_package(Weir %s REQUIRED PATHS %s NO_DEFAULT_PATH)\n' \
        "$1" "$scratch/root$libdir/cmake/Weir" >"$scratch/asks/CMakeLists.txt"
    cmake -S "$scratch/asks" -B "$scratch/asks/build"
}

refused() {
    if "$@"; then return 1; fi
    grep -q 'compatible' "$scratch/log"
}

by_meson() {
    meson setup "$scratch/meson" "$examples/build" || return
    ninja -C "$scratch/meson"
}

# Compiling Weir once more would take minutes: what is tried is that all that dependency('weir') needs is set.
as_subproject() {
    mkdir -p "$scratch/project/subprojects"
    cp "$examples/build/meson.build" "$examples/build/density.cpp" "$scratch/project"
    cp "$examples/ripple.c" "$scratch"
    ln -s "$source" "$scratch/project/subprojects/weir"
    meson setup --force-fallback-for=weir "$scratch/project/build" "$scratch/project" || return
    # Its tests and its command aren't built along.
    ninja -C "$scratch/project/build" -t targets all >"$scratch/targets"
    grep -q 'libweir\.a:' "$scratch/targets" && ! grep -q 'weir-tests\|weir-bench' "$scratch/targets"
}

cxx=${CXX:-c++}
command -v "$cxx" >/dev/null || cxx=
for shared in yes no; do
    fine "pkg-config, C, shared: $shared" by_pkg_config "c-$shared" "${CC:-cc} -std=c17" "$examples/ripple.c" $shared
    [ -z "$cxx" ] ||
        fine "pkg-config, C++, shared: $shared" by_pkg_config "cpp-$shared" "$cxx -std=c++17" "$examples/build/density.cpp" \
            $shared
done
if [ -n "$cxx" ] && command -v cmake >/dev/null; then
    export CMAKE_GENERATOR=Ninja # which built Weir; make may be missing
    fine CMake by_cmake
    fine "CMake's ripple" works "$scratch/cmake/ripple" yes
    fine "CMake's density" works "$scratch/cmake/density" no
    version=$(pkg-config --modversion weir)
    fine "CMake, this version" asks_cmake "$version EXACT"
    fine "CMake, an older version" asks_cmake "${version%.*}"
    fine "CMake, a newer version" refused asks_cmake "${version%%.*}.999"
    fine "CMake, another major version" refused asks_cmake "$((${version%%.*} + 1)).0"
fi
if [ -n "$cxx" ]; then
    fine Meson by_meson
    fine "Meson's ripple" works "$scratch/meson/ripple" yes
    fine "Meson's density" works "$scratch/meson/density" no
    fine "Meson, a subproject" as_subproject
fi
echo "build_systems: $passed passed, $failed failed"
[ $failed -eq 0 ]
