# SPDX-License-Identifier: Apache-2.0
# For tests against the reference implementations: $shared is the reference material, $ref the
# Python that has Paddle, $lite_opt the real paddle_lite_opt or "-". Skips the whole test, saying
# why, where they are not to be had.
. "${srcdir:-.}/tests/lib.sh"
shared=${QSLIM_SHARED:-$top/../shared}
oracle=${ORACLE_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/qslim-oracle}
ref=$oracle/ref/bin/python
lite_opt=$oracle/lite/bin/paddle_lite_opt
skip_all_of_it() {
    echo "1..0 # SKIP $1"
    exit 0
}
[ -d "$shared/models" ] || skip_all_of_it "no reference material beside the project"
[ -x "$ref" ] || skip_all_of_it "no Python with Paddle (../shared/oracle/setup.sh makes one)"
[ -x "$lite_opt" ] || lite_opt=-
export PYTHONDONTWRITEBYTECODE=1
