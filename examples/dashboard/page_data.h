/* SPDX-License-Identifier: MIT */
#ifndef DASHBOARD_PAGE_DATA_H
#define DASHBOARD_PAGE_DATA_H

/* The three files below page/, put into the program by embed.py. */

#include <stddef.h>

extern const unsigned char page_html[], page_js[], page_css[];
extern const size_t page_html_size, page_js_size, page_css_size;

#endif
