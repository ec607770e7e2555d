#include "base/version.h"

#ifndef HONE_VERSION
#define HONE_VERSION "unversioned"
#endif
#ifndef HONE_COMMIT
#define HONE_COMMIT "unknown"
#endif

const char hone_version[] = HONE_VERSION;
const char hone_commit[] = HONE_COMMIT;
