#define PCRE2_CODE_UNIT_WIDTH 8
#include <jansson.h>
#include <pcre2.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>
#include <xxhash.h>
#include <zlib.h>
#include <zstd.h>

#include "base/version.h"

const char *
hone_libraries(void)
{
	static char text[192];
	char pcre[64] = "";
	unsigned xxh = XXH_versionNumber();
	pcre2_config(PCRE2_CONFIG_VERSION, pcre);
	pcre[strcspn(pcre, " ")] = '\0';  /* the date behind it */
	snprintf(text, sizeof text, "jansson %s, PCRE2 %s, utf8proc %s, xxHash %u.%u.%u, zlib %s, zstd %s", jansson_version_str(),
		pcre, utf8proc_version(), xxh / 10000, xxh / 100 % 100, xxh % 100, zlibVersion(), ZSTD_versionString());
	return text;
}
