/* What the fault driver (tests/helpers/faults.c) asks of the interposer (interpose.c), and what it hears of it: one
 * page of memory that both map, and every process that the driver's command starts. */
#ifndef HONE_TESTS_FAULTS_H
#define HONE_TESTS_FAULTS_H

#include <stdatomic.h>
#include <stdint.h>

/* The environment variable that names the file to map. */
#define FAULTS_STATE "HONE_FAULTS_STATE"

/* Kinds of calls; a fault is asked for a set of them, and N counts the calls of that set. */
enum {
	CALL_ALLOC =
		1 << 0, /* malloc, calloc, realloc, aligned_alloc, posix_memalign; strdup and others go through them */
	CALL_MEMORY = 1 << 1,   /* mmap without a file */
	CALL_MAP = 1 << 2,      /* mmap of a file */
	CALL_OPEN = 1 << 3,     /* open of what is there; fopen */
	CALL_CREATE = 1 << 4,   /* open with O_CREAT, mkstemp */
	CALL_READ = 1 << 5,     /* read, pread */
	CALL_WRITE = 1 << 6,    /* write, pwrite */
	CALL_SYNC = 1 << 7,     /* fsync, fdatasync of a file */
	CALL_SYNC_DIR = 1 << 8, /* of a directory */
	CALL_CLOSE = 1 << 9,    /* close of what was written */
	CALL_CLOSE_READ = 1 << 10,
	CALL_RENAME = 1 << 11, /* rename, renameat2 */
	CALL_LINK = 1 << 12,
	CALL_MKDIR = 1 << 13,  /* mkdir, mkdtemp */
	CALL_REMOVE = 1 << 14, /* unlink, rmdir */
	CALL_TRUNCATE = 1 << 15,
	CALL_LIST = 1 << 16,         /* opendir */
	CALL_NEXT = 1 << 17,         /* readdir */
	CALL_STAT = 1 << 18,         /* stat, lstat, fstat */
	CALL_LOCK = 1 << 19,         /* flock */
	CALL_RENAME_FLAGS = 1 << 20, /* renameat2 only */
	CALL_CLOCK = 1 << 21,        /* clock_gettime, time */
};

/* Those that change files. */
#define CALLS_OF_CHANGE \
	(CALL_CREATE | CALL_WRITE | CALL_SYNC | CALL_SYNC_DIR | CALL_CLOSE | CALL_RENAME | CALL_RENAME_FLAGS | \
		CALL_LINK | CALL_MKDIR | CALL_REMOVE | CALL_TRUNCATE)

enum action {
	ACT_COUNT,    /* nothing: calls are counted, and the N of each new stack is noted */
	ACT_FAIL,     /* the call fails with `error`; a close closes all the same */
	ACT_SHORT,    /* a read gives less, a write takes less than was asked */
	ACT_LEAP,     /* the clock leaps: ahead, back, and from call to call */
	ACT_KILL,     /* SIGKILL before the call, to the process group */
	ACT_KILL_ONE, /* to the process */
	ACT_TORN,     /* half of a write is done, then SIGKILL */
	ACT_CUT,      /* SIGKILL as in a power cut: what was written since its last fsync is gone */
};

enum { FAULTS_STACKS = 1 << 16, FAULTS_PATH = 1024 };

struct faults {
	/* asked */
	uint32_t calls; /* a set of kinds */
	uint32_t action;
	int32_t error;  /* errno */
	uint32_t n;     /* the first call that has the fault, from 1 */
	uint32_t times; /* how many calls from there on have it, 0: all */
	/* heard */
	_Atomic uint32_t count; /* calls of the set */
	_Atomic uint32_t fired;
	_Atomic uint32_t kind;  /* of the first that had the fault */
	char path[FAULTS_PATH]; /* of it, as given; "" where there is none */
	_Atomic uint32_t n_stacks;
	uint32_t first[FAULTS_STACKS]; /* the N of the first call from each new stack */
	uint64_t stack[FAULTS_STACKS]; /* its hash */
};

#endif
