/* What this build is; set by the Makefile. */
#ifndef HONE_BASE_VERSION_H
#define HONE_BASE_VERSION_H

extern const char hone_version[];
extern const char hone_commit[];

/* The libraries that this process runs with, as text of its own: "jansson 2.14, PCRE2 10.42, ...". */
const char *hone_libraries(void);

#endif
