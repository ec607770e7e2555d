/* What this build is; set by the Makefile. */
#ifndef HONE_BASE_VERSION_H
#define HONE_BASE_VERSION_H

extern const char hone_version[];
extern const char hone_commit[];

#endif
