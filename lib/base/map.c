/* Mapped files. Somebody may cut one short, or its disk may fail, while it is used: the kernel then sends SIGBUS to who
 * reads the page, and there is nothing to return an error from. So the end of the process is told here, as that of memory
 * is in mem.c. What was staged stays as after any death, and the next run removes it. */
#define _DEFAULT_SOURCE  /* madvise, MAP_FAILED */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/plain.h"

/* ---- who is told of ---- */

/* A handler can take no lock and follow no pointer that another thread may free, so mappings are noted in slots that stay. A
 * slot is claimed (at = CLAIMED), filled, and valid from when `at` is an address. Mappings beyond these are not told of. */
enum { SLOTS = 1024, CLAIMED = 1 };

static struct slot {
	_Atomic(uintptr_t) at;
	_Atomic(size_t) size;
	_Atomic(char *) path;
} slots[SLOTS];

static void
say(const char *text)
{
	if (write(STDERR_FILENO, text, strlen(text)) < 0)
		return;  /* nobody to tell that */
}

/* The slot of the mapping that holds an address, or NULL. */
static struct slot *
slot_of(uintptr_t where)
{
	for (int i = 0; i < SLOTS; i++) {
		uintptr_t at = atomic_load(&slots[i].at);
		if (at > CLAIMED && where >= at && where - at < atomic_load(&slots[i].size))
			return &slots[i];
	}
	return NULL;
}

static void
on_bus(int number, siginfo_t *info, void *context)
{
	(void)context;
	struct slot *slot = slot_of((uintptr_t)info->si_addr);
	if (slot) {
		say(log_tool);
		say(": cannot read '");
		say(atomic_load(&slot->path));
		say("' any more: it was cut short while it was in use, or its disk failed\n");
		_exit(ERR_IO);
	}
	signal(number, SIG_DFL);  /* not of ours: what it would have been */
	raise(number);
}

/* Unless somebody else waits for the signal, as sanitizers do. */
static void
begin_guard(void)
{
	struct sigaction now, action = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
	sigemptyset(&action.sa_mask);
	if (sigaction(SIGBUS, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL)
		sigaction(SIGBUS, &action, NULL);
}

static void
guard(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, begin_guard);
}

static void
note(const void *data, size_t size, const char *path)
{
	struct buf plain = {0};
	guard();
	buf_plain(&plain, path);
	for (int i = 0; i < SLOTS; i++) {
		uintptr_t none = 0;
		if (!atomic_compare_exchange_strong(&slots[i].at, &none, CLAIMED))
			continue;
		atomic_store(&slots[i].size, size);
		atomic_store(&slots[i].path, plain.data);
		atomic_store(&slots[i].at, (uintptr_t)data);
		return;
	}
	buf_release(&plain);
}

static void
forget(const void *data)
{
	for (int i = 0; i < SLOTS; i++)
		if (atomic_load(&slots[i].at) == (uintptr_t)data) {
			atomic_store(&slots[i].at, CLAIMED);
			free(atomic_load(&slots[i].path));
			atomic_store(&slots[i].at, 0);
			return;
		}
}

/* ---- mappings ---- */

static int
map_file(struct map *m, int fd, const char *path, struct err *e)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return err_sys(e, ERR_IO, "cannot look at '%s'", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_NOINPUT, "'%s' is not a regular file", path);
	*m = (struct map){.size = (size_t)st.st_size};
	if (!m->size)
		return 0;
	void *p = mmap(NULL, m->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(e, ERR_IO, "cannot map '%s'", path);
	m->data = p;
	note(p, m->size, path);
	return 0;
}

int
map_open(struct map *m, const char *path, struct err *e)
{
	int fd = file_open(path, O_NONBLOCK, e);  /* a pipe is refused, not waited for */
	if (fd < 0)
		return -1;
	int rc = map_file(m, fd, path, e);
	close(fd);
	return rc;
}

void
map_close(struct map *m)
{
	if (m->data) {
		forget(m->data);
		munmap((void *)m->data, m->size);
	}
	*m = (struct map){0};
}

void
map_touch(const void *at, size_t n)
{
	enum { PAGE_MIN = 4096 };
	const volatile uint8_t *p = at;
	for (size_t i = 0; i < n; i += PAGE_MIN)
		(void)p[i];
	if (n)
		(void)p[n - 1];
}

/* The kernel keeps up to 2 MiB of a file together, and one byte that is asked for maps all of it, also what another thread has
 * forgotten. Of a mapping that is not noted nothing but the pages of at[n] is known to be its own. */
void
map_forget(const void *at, size_t n)
{
	enum { TOGETHER = 2 << 20 };
	const struct slot *slot = slot_of((uintptr_t)at);
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t begin = (uintptr_t)at / page * page, end = ((uintptr_t)at + n) / page * page;
	if (slot) {
		uintptr_t map = atomic_load(&slot->at), size = atomic_load(&slot->size), from = (uintptr_t)at - map;
		begin = map + from / TOGETHER * TOGETHER;
		end = map + (from + n + TOGETHER - 1) / TOGETHER * TOGETHER;
		end = end < map + size ? end : map + size;
	}
	if (begin < end)
		madvise((void *)begin, end - begin, MADV_DONTNEED);
}
