# SPDX-License-Identifier: Apache-2.0
# Each header compiles alone, without a warning, also when included twice.
. "${srcdir:-.}/tests/lib.sh"
cc=${TEST_CC:-cc}
$cc --version >/dev/null 2>&1 || skip_all "no compiler"
[ -e "$build/config.h" ] || skip_all "not in a build folder"
flags=${TEST_CPPFLAGS:--DHAVE_CONFIG_H -I. -Isrc -I$top/src -I$top -std=gnu11 -Wall -Wextra}

for header in $(cd "$top" && find src kernels passes db ui tests -name '*.h' ! -name '*.pb-c.h' 2>/dev/null | sort); do
    printf '#include "%s"\n#include "%s"\nextern int nothing;\n' "$top/$header" "$top/$header" >"$tmp/h.c"
    # shellcheck disable=SC2086
    ok "$header compiles alone" $cc $flags -I"$top/tests" -Werror -fsyntax-only "$tmp/h.c"
done
done_testing
