/* SPDX-License-Identifier: Apache-2.0 */
/* Translation of user strings: _() translates now, N_() only marks. */
#ifndef QS_BASE_I18N_H
#define QS_BASE_I18N_H

#include <libintl.h>

#define _(s) gettext(s)
#define N_(s) (s)

#endif
