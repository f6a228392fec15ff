/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cmd.h"

#define ROW(name) extern const struct qs_cmd qs_cmd_##name;
#include "cmd/cmds.inc"
#undef ROW

static const struct qs_cmd *const cmds[] = {
#define ROW(name) &qs_cmd_##name,
#include "cmd/cmds.inc"
#undef ROW
    NULL,
};

int
main(int argc, char **argv)
{
    return qs_cmd_main(argc, argv, cmds);
}
