#!/bin/sh
# What `meson install` leaves: installed.sh BUILD-DIRECTORY LIBRARY-DIRECTORY SOURCE-DIRECTORY ABI [--seed N, which is for
# other tests]. All tell the same version; a program links with what pkg-config says, and nothing else, with the shared
# library and with the static one; and on a clean Debian the library goes where pkg-config and the loader look for it.
set -eu

build=$1 libdir=$2 source=$3 abi=$4
# shellcheck source-path=SCRIPTDIR source=as_installed
. "$(dirname "$0")/as_installed"
# shellcheck source-path=SCRIPTDIR source=results
. "$(dirname "$0")/results"
trap 'rm -rf "$scratch"' EXIT
PATH=$PATH:/sbin:/usr/sbin

cat >"$scratch/program.c" <<'PROGRAM'
#include <math.h>
#include <stdio.h>
#include <weir/models.h>

int main(int count, char **arguments)
{
    (void)arguments;
    ad_error error;
    nf_flow *flow = nf_flow_parse("maf(8)-flip", 2, 0, AD_F32, 1, &error);
    printf("%s %s %.0f", WEIR_VERSION, flow ? weir_version() : error.message, sqrt(4 * count));
    nf_flow_free(flow);
}
PROGRAM

# compile PKG-CONFIG-OPTION …
compile() {
    # shellcheck disable=SC2046
    "${CC:-cc}" "$scratch/program.c" $(pkg-config --cflags --libs "$@" weir) -o "$scratch/program"
}

version=$(pkg-config --modversion weir)
same "weir --version" "weir $version" "$("$build/weir" --version)"
compile
same "a program with the shared library" "$version $version 2" "$("$scratch/program")"
same "the library that it wants" "$scratch/root$libdir/libweir.so.$abi" "$(ldd "$scratch/program" | awk '/libweir/ { print $3 }')"

# On a machine that lacks dpkg-architecture.
looked_in() {
    pkg-config --variable pc_path pkg-config | tr : '\n' | sed -n "s,^\(.*\)/pkgconfig$,pkg-config \1,p"
    mkdir -p "$scratch/clean/etc"
    cp -r /etc/ld.so.conf* "$scratch/clean/etc"
    ldconfig -r "$scratch/clean" -X -v 2>/dev/null | sed -n 's,^\(/[^ :]*\):.*,loader \1,p'
}
if [ -f /etc/debian_version ]; then
    mkdir "$scratch/bin"
    printf '#!/bin/sh\nexit 1\n' >"$scratch/bin/dpkg-architecture"
    chmod +x "$scratch/bin/dpkg-architecture"
    PATH=$scratch/bin:$PATH meson setup "$scratch/build" "$source" >"$scratch/log" || cat "$scratch/log"
    directory=/usr/local/$(meson configure "$scratch/build" | awk '$1 == "libdir" { print $2 }')
    mkdir -p "$scratch/clean$directory"
    cp "$scratch/root$libdir/libweir.so.$version" "$scratch/clean$directory"
    looked_in >"$scratch/looked_in"
    for who in pkg-config loader; do
        same "$who, of $directory" "$who $directory" "$(grep -x "$who $directory" "$scratch/looked_in" || cat "$scratch/looked_in")"
    done

    # A build for other machines doesn't take this one's directory unasked.
    cat >"$scratch/cross" <<CROSS
[binaries]
c = '${CC:-cc}'
[host_machine]
system = 'linux'
cpu_family = 'riscv64'
cpu = 'riscv64'
endian = 'little'
CROSS
    said=$(meson setup "$scratch/cross_build" "$source" --cross-file "$scratch/cross") || true
    same "a cross build" "libdir is ${directory#/usr/local/}, for the machine that builds" \
        "$(printf '%s' "$said" | grep -o 'libdir is.*builds' || printf '%s' "$said" | tail -n 5)"
fi

rm "$scratch/root$libdir"/libweir.so*
compile --static
same "a program with the static library" "$version $version 2" "$("$scratch/program")"
echo "installed: $passed passed, $failed failed"
[ $failed -eq 0 ]
