/* SPDX-License-Identifier: Apache-2.0 */
#include "ui/view.h"

#include "base/i18n.h"

#define VIEW(id, name, keys, title) extern const struct ui_view ui_view_##name;
#include "ui/views.inc"
#undef VIEW

const struct ui_view_row ui_views[UI_N_VIEWS] = {
#define VIEW(id, name, keys, title) {#name, title, &ui_view_##name},
#include "ui/views.inc"
#undef VIEW
};
