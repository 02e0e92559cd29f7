#!/bin/sh
# What the public functions of Weir take, for tests that call each of them: arguments.sh DIRECTORY-OF-FACES writes a line
# POINTER(room, function, parameter) for each pointer, and VARS(room, function, n) for each function of n vars alone that
# gives a var.
set -eu

faces=$1
includes=
for room in autodiff flows models; do
    includes="$includes -I$faces/$room"
done
# CC may have a compiler cache before it.
# shellcheck disable=SC2086
for header in "$faces"/*/weir/*.h; do
    echo "#include <weir/$(basename "$header")>"
done |
    ${CC:-cc} -std=c17 -E $includes -x c - |
    awk '
        function finish(    head, list, name, i, n, c, depth, part, count, vars) {
            gsub(/__attribute__ *\(\([^()]*(\([^()]*\)[^()]*)*\)\)/, "", statement)
            gsub(/[ \t]+/, " ", statement)
            sub(/^ /, "", statement)
            if (statement ~ /^(typedef|static|struct|enum|extern|_Static_assert)/ || !match(statement, /[a-z_0-9]+ ?\(/)) return
            name = substr(statement, RSTART, RLENGTH)
            sub(/ ?\($/, "", name)
            list = substr(statement, RSTART + RLENGTH)
            sub(/\) ?$/, "", list)
            n = split(list, c, "")
            count = 1
            part[1] = ""
            depth = 0
            for (i = 1; i <= n; i++) {
                if (c[i] == "(") depth++
                if (c[i] == ")") depth--
                if (c[i] == "," && depth == 0) part[++count] = ""
                else part[count] = part[count] c[i]
            }
            vars = 0
            for (i = 1; i <= count; i++) {
                if (part[i] ~ /^ ?ad_var [a-z_]+ ?$/) vars++
                if (match(part[i], /\(\* ?[a-z_]+\)/)) head = substr(part[i], RSTART + 2, RLENGTH - 3)
                else if (part[i] ~ /[*[]/) {
                    head = part[i]
                    sub(/ ?(\[[^]]*\])? ?$/, "", head)
                    sub(/.*[^a-z_0-9]/, "", head)
                } else continue
                gsub(/ /, "", head)
                print "POINTER(" room ", " name ", " head ")"
            }
            if (vars == count && statement ~ /^ad_var /) print "VARS(" room ", " name ", " vars ")"
        }
        /^# [0-9]+ "/ {
            weir = $3 ~ /\/weir\/[a-z0-9_]+\.h"$/
            if (weir) { room = $3; sub(/\/weir\/[^\/]*$/, "", room); sub(/.*\//, "", room) }
            next
        }
        /^#/ || !weir { next }
        {
            n = split($0, c, "")
            for (i = 1; i <= n; i++) {
                if (c[i] == "{") depth++
                else if (c[i] == "}") depth--
                else if (depth == extern_c && c[i] == ";") { finish(); statement = "" }
                else if (depth == extern_c) statement = statement c[i]
            }
            statement = statement " "
        }
    '
