/* A shared object for LD_PRELOAD that counts calls of the C library and makes the Nth go wrong (faults.h). Counted are
 * those between the beginning of main and the end of the process that do not come from the threading and matrix
 * libraries, the loader or the compiler's run time: what those do with a failure is not ours. Calls that the C library
 * makes within itself are seen where it goes through its own public name: the malloc in strdup is, the open in fopen is
 * not, which is why fopen and opendir are here as well. fsync does nothing (the disk is not on trial) but tells that
 * what was written may outlive a power cut. The clock stands still, so that runs can be compared. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"

enum { FOREIGN_MAX = 64, FILES_MAX = 256, DEPTH = 24, SHORT_READ = 7, KEEP_FROM = 700 };

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t alignment, size_t n);

static struct faults *faults; /* NULL: nothing is asked */
static _Atomic bool armed;
static __thread bool within; /* calls of our own are not counted */

#define CALLER __builtin_return_address(0)
#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

/* ---- whose calls count ---- */

static struct range {
	uintptr_t from, to;
} foreign[FOREIGN_MAX];
static int n_foreign;

static bool
is_foreign(const char *name)
{
	static const char *const names[] = {"libgomp", "libopenblas", "libgfortran", "libquadmath", "ld-linux",
		"libgcc_s", "interpose", "libasan", "libubsan"};
	const char *base = strrchr(name, '/');
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strncmp(base ? base + 1 : name, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

static int
note_object(struct dl_phdr_info *info, size_t size, void *unused)
{
	(void)size;
	(void)unused;
	for (int i = 0; i < info->dlpi_phnum && is_foreign(info->dlpi_name); i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		if (h->p_type == PT_LOAD && (h->p_flags & PF_X) && n_foreign < FOREIGN_MAX)
			foreign[n_foreign++] =
				(struct range){info->dlpi_addr + h->p_vaddr, info->dlpi_addr + h->p_vaddr + h->p_memsz};
	}
	return 0;
}

static bool
counts(const void *caller)
{
	if (!faults || !armed || within)
		return false;
	for (int i = 0; i < n_foreign; i++)
		if ((uintptr_t)caller >= foreign[i].from && (uintptr_t)caller < foreign[i].to)
			return false;
	return true;
}

/* ---- what a power cut takes ---- */

/* Files that were written, by their inode; `fd` is a descriptor of our own. */
static struct file {
	dev_t dev;
	ino_t ino;
	int fd;
	off_t synced;
} files[FILES_MAX];
static int n_files;

static struct file *
file_of(int fd)
{
	struct stat st;
	if (!REAL(fstat) || REAL(fstat)(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	for (int i = 0; i < n_files; i++)
		if (files[i].dev == st.st_dev && files[i].ino == st.st_ino)
			return &files[i];
	if (n_files == FILES_MAX)
		abort();
	files[n_files] = (struct file){st.st_dev, st.st_ino, fcntl(fd, F_DUPFD_CLOEXEC, KEEP_FROM), st.st_size};
	return &files[n_files++];
}

/* Before the first write: how much of it there was. */
static void
note_write(int fd)
{
	within = true;
	if (faults && armed && faults->action == ACT_CUT)
		file_of(fd);
	within = false;
}

static void
note_sync(int fd)
{
	struct stat st;
	within = true;
	struct file *f = faults && armed && faults->action == ACT_CUT ? file_of(fd) : NULL;
	if (f && REAL(fstat)(fd, &st) == 0)
		f->synced = st.st_size;
	within = false;
}

static void
lose_unsynced(void)
{
	for (int i = 0; i < n_files; i++) {
		struct stat st;
		if (REAL(fstat)(files[i].fd, &st) == 0 && st.st_size > files[i].synced)
			REAL(ftruncate)(files[i].fd, files[i].synced);
	}
}

/* ---- counting, and the fault ---- */

static void
note_stack(uint32_t n)
{
	void *at[DEPTH];
	int depth = backtrace(at, DEPTH);
	uint64_t hash = 14695981039346656037u;
	for (int i = 0; i < depth; i++)
		hash = (hash ^ (uintptr_t)at[i]) * 1099511628211u;
	uint32_t have = faults->n_stacks;
	for (uint32_t i = 0; i < have; i++)
		if (faults->stack[i] == hash)
			return;
	if (have < FAULTS_STACKS) {
		faults->stack[have] = hash;
		faults->first[have] = n;
		faults->n_stacks = have + 1;
	}
}

static void
name_fd(int fd, char path[FAULTS_PATH])
{
	char link[32];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, FAULTS_PATH - 1);
	path[n > 0 ? n : 0] = '\0';
}

/* Whether this call, of `path` or else of `fd`, has the fault. Does not return when it is a kill before the call. */
static bool
strikes(const void *caller, uint32_t kind, const char *path, int fd)
{
	if (!counts(caller) || !(faults->calls & kind))
		return false;
	int saved = errno;
	bool struck = false;
	within = true;
	uint32_t n = atomic_fetch_add(&faults->count, 1) + 1;
	if (faults->action == ACT_COUNT) {
		note_stack(n);
	} else if (n >= faults->n && (!faults->times || n - faults->n < faults->times)) {
		struck = true;
		if (atomic_fetch_add(&faults->fired, 1) == 0) {
			faults->kind = kind;
			if (path)
				snprintf(faults->path, sizeof faults->path, "%s", path);
			else if (fd >= 0)
				name_fd(fd, faults->path);
		}
		if (faults->action == ACT_CUT)
			lose_unsynced();
		if (faults->action == ACT_KILL || faults->action == ACT_CUT)
			kill(0, SIGKILL);
		if (faults->action == ACT_KILL_ONE || (faults->action == ACT_TORN && kind != CALL_WRITE))
			kill(getpid(), SIGKILL);
	}
	within = false;
	errno = saved;
	return struck;
}

/* The same, for calls that can only fail; errno is set. */
static bool
fails(const void *caller, uint32_t kind, const char *path, int fd)
{
	if (!strikes(caller, kind, path, fd) || faults->action != ACT_FAIL)
		return false;
	errno = faults->error;
	return true;
}

/* ---- memory ---- */

#define MEMORY_FAULT() (faults && fails(CALLER, CALL_ALLOC, NULL, -1))

void *
malloc(size_t n)
{
	return MEMORY_FAULT() ? NULL : __libc_malloc(n);
}

void *
calloc(size_t n, size_t size)
{
	return MEMORY_FAULT() ? NULL : __libc_calloc(n, size);
}

void *
realloc(void *p, size_t n)
{
	return MEMORY_FAULT() ? NULL : __libc_realloc(p, n);
}

void *
aligned_alloc(size_t alignment, size_t n)
{
	return MEMORY_FAULT() ? NULL : __libc_memalign(alignment, n);
}

int
posix_memalign(void **p, size_t alignment, size_t n)
{
	if (MEMORY_FAULT())
		return ENOMEM;
	*p = __libc_memalign(alignment, n);
	return *p ? 0 : ENOMEM;
}

static void *
map(const void *caller, void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
	if (fails(caller, flags & MAP_ANONYMOUS ? CALL_MEMORY : CALL_MAP, NULL, fd))
		return MAP_FAILED;
	return REAL(mmap)(at, n, prot, flags, fd, offset);
}

void *
mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
	return map(CALLER, at, n, prot, flags, fd, offset);
}

void *
mmap64(void *at, size_t n, int prot, int flags, int fd, off_t offset)
{
	return map(CALLER, at, n, prot, flags, fd, offset);
}

/* ---- files ---- */

static int
open_file(const void *caller, const char *path, int flags, mode_t mode)
{
	if (fails(caller, flags & O_CREAT ? CALL_CREATE : CALL_OPEN, path, -1))
		return -1;
	return REAL(openat)(AT_FDCWD, path, flags, mode);
}

static mode_t
mode_of(int flags, va_list ap)
{
	return flags & O_CREAT ? va_arg(ap, mode_t) : 0;
}

#define OPEN(name) \
	int name(const char *path, int flags, ...) \
	{ \
		va_list ap; \
		va_start(ap, flags); \
		mode_t mode = mode_of(flags, ap); \
		va_end(ap); \
		return open_file(CALLER, path, flags, mode); \
	}

OPEN(open)
OPEN(open64)

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);

int
__open_2(const char *path, int flags)
{
	return open_file(CALLER, path, flags, 0);
}

int
__open64_2(const char *path, int flags)
{
	return open_file(CALLER, path, flags, 0);
}

#define FOPEN(name) \
	FILE *name(const char *path, const char *mode) \
	{ \
		return fails(CALLER, CALL_OPEN, path, -1) ? NULL : REAL(name)(path, mode); \
	}

FOPEN(fopen)
FOPEN(fopen64)

#define MKSTEMP(name) \
	int name(char *path) \
	{ \
		return fails(CALLER, CALL_CREATE, path, -1) ? -1 : REAL(name)(path); \
	}

MKSTEMP(mkstemp)
MKSTEMP(mkstemp64)

char *
mkdtemp(char *path)
{
	return fails(CALLER, CALL_MKDIR, path, -1) ? NULL : REAL(mkdtemp)(path);
}

/* How many bytes the read or write is for, or -1 when it fails. */
static ssize_t
size_of(const void *caller, uint32_t kind, int fd, size_t n)
{
	if (!strikes(caller, kind, NULL, fd))
		return (ssize_t)n;
	if (faults->action == ACT_FAIL) {
		errno = faults->error;
		return -1;
	}
	if (faults->action == ACT_SHORT && n > 1)
		return kind == CALL_READ && n > SHORT_READ ? SHORT_READ : (ssize_t)(n / 2);
	return (ssize_t)n;
}

ssize_t
read(int fd, void *p, size_t n)
{
	ssize_t k = size_of(CALLER, CALL_READ, fd, n);
	return k < 0 ? -1 : REAL(read)(fd, p, (size_t)k);
}

#define PREAD(name) \
	ssize_t name(int fd, void *p, size_t n, off_t at) \
	{ \
		ssize_t k = size_of(CALLER, CALL_READ, fd, n); \
		return k < 0 ? -1 : REAL(name)(fd, p, (size_t)k, at); \
	}

PREAD(pread)
PREAD(pread64)

ssize_t
write(int fd, const void *p, size_t n)
{
	note_write(fd);
	ssize_t k = size_of(CALLER, CALL_WRITE, fd, n);
	if (k < 0)
		return -1;
	if (faults && faults->action == ACT_TORN && faults->fired) {
		REAL(write)(fd, p, n / 2);
		kill(0, SIGKILL);
	}
	return REAL(write)(fd, p, (size_t)k);
}

static bool
is_dir(int fd)
{
	struct stat st;
	within = true;
	bool yes = REAL(fstat)(fd, &st) == 0 && S_ISDIR(st.st_mode);
	within = false;
	return yes;
}

static int
sync_file(const void *caller, int fd)
{
	if (fails(caller, is_dir(fd) ? CALL_SYNC_DIR : CALL_SYNC, NULL, fd))
		return -1;
	note_sync(fd);
	return 0;
}

int
fsync(int fd)
{
	return sync_file(CALLER, fd);
}

int
fdatasync(int fd)
{
	return sync_file(CALLER, fd);
}

int
close(int fd)
{
	bool written = (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
	bool failed = counts(CALLER) && fails(CALLER, written ? CALL_CLOSE : CALL_CLOSE_READ, NULL, fd);
	int rc = REAL(close)(fd);
	if (failed)
		errno = faults->error;
	return failed ? -1 : rc;
}

#define TRUNCATE(name) \
	int name(int fd, off_t n) \
	{ \
		note_write(fd); \
		return fails(CALLER, CALL_TRUNCATE, NULL, fd) ? -1 : REAL(name)(fd, n); \
	}

TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

int
flock(int fd, int how)
{
	return fails(CALLER, CALL_LOCK, NULL, fd) ? -1 : REAL(flock)(fd, how);
}

/* ---- names ---- */

int
rename(const char *from, const char *to)
{
	return fails(CALLER, CALL_RENAME, to, -1) ? -1 : REAL(rename)(from, to);
}

int
renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
	uint32_t kind = faults && faults->calls & CALL_RENAME_FLAGS ? CALL_RENAME_FLAGS : CALL_RENAME;
	return fails(CALLER, kind, to, -1) ? -1 : REAL(renameat2)(from_dir, from, to_dir, to, flags);
}

int
link(const char *from, const char *to)
{
	return fails(CALLER, CALL_LINK, to, -1) ? -1 : REAL(link)(from, to);
}

int
mkdir(const char *path, mode_t mode)
{
	return fails(CALLER, CALL_MKDIR, path, -1) ? -1 : REAL(mkdir)(path, mode);
}

int
unlink(const char *path)
{
	return fails(CALLER, CALL_REMOVE, path, -1) ? -1 : REAL(unlink)(path);
}

int
rmdir(const char *path)
{
	return fails(CALLER, CALL_REMOVE, path, -1) ? -1 : REAL(rmdir)(path);
}

/* ---- looking ---- */

DIR *
opendir(const char *path)
{
	return fails(CALLER, CALL_LIST, path, -1) ? NULL : REAL(opendir)(path);
}

#define READDIR(name, type) \
	struct type *name(DIR *d) \
	{ \
		return fails(CALLER, CALL_NEXT, NULL, dirfd(d)) ? NULL : REAL(name)(d); \
	}

READDIR(readdir, dirent)
READDIR(readdir64, dirent64)

#define STAT(name, type) \
	int name(const char *path, struct type *st) \
	{ \
		return fails(CALLER, CALL_STAT, path, -1) ? -1 : REAL(name)(path, st); \
	}

STAT(stat, stat)
STAT(lstat, stat)
STAT(stat64, stat64)
STAT(lstat64, stat64)

#define FSTAT(name, type) \
	int name(int fd, struct type *st) \
	{ \
		return fails(CALLER, CALL_STAT, NULL, fd) ? -1 : REAL(name)(fd, st); \
	}

FSTAT(fstat, stat)
FSTAT(fstat64, stat64)

/* ---- the clock ---- */

static time_t
shown_seconds(const void *caller)
{
	static const int leaps[] = {86400 * 400, -7200, 1, -86400 * 3000, 5};
	bool leap = strikes(caller, CALL_CLOCK, NULL, -1) && faults->action == ACT_LEAP;
	return 1700000000 + (leap ? leaps[faults->fired % (sizeof leaps / sizeof *leaps)] : 0);
}

int
clock_gettime(clockid_t id, struct timespec *t)
{
	if (!counts(CALLER))
		return REAL(clock_gettime)(id, t);
	*t = (struct timespec){shown_seconds(CALLER), 0};
	return 0;
}

time_t
time(time_t *t)
{
	time_t now = counts(CALLER) ? shown_seconds(CALLER) : REAL(time)(NULL);
	if (t)
		*t = now;
	return now;
}

/* How much memory was used differs from run to run. */
int
getrusage(__rusage_who_t who, struct rusage *u)
{
	int rc = REAL(getrusage)(who, u);
	if (counts(CALLER))
		u->ru_maxrss = 1;
	return rc;
}

/* ---- from main on ---- */

static int (*real_main)(int argc, char **argv, char **envp);

static void
load_state(void)
{
	const char *path = getenv(FAULTS_STATE);
	void *one[1];
	int fd = path ? REAL(openat)(AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	if (fd < 0)
		return;
	void *p = REAL(mmap)(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REAL(close)(fd);
	if (p == MAP_FAILED)
		return;
	backtrace(one, 1); /* which loads what it needs */
	dl_iterate_phdr(note_object, NULL);
	faults = p;
}

static int
counted_main(int argc, char **argv, char **envp)
{
	load_state();
	armed = true;
	return real_main(argc, argv, envp);
}

int __libc_start_main(int (*f)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void),
	void (*rtld_fini)(void), void *stack_end);

int
__libc_start_main(int (*f)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void),
	void (*rtld_fini)(void), void *stack_end)
{
	real_main = f;
	return REAL(__libc_start_main)(counted_main, argc, argv, init, fini, rtld_fini, stack_end);
}
