#define _DEFAULT_SOURCE  /* ITIMER_PROF */
#include "math/blas_start.h"

#include <signal.h>
#include <stddef.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/err.h"

static void
give_up(int signal)
{
	static const char complaint[] =
		"hone: out of memory: OpenBLAS waits for 128 MB a processor (ulimit -v; OMP_NUM_THREADS makes it fewer)\n";
	(void)signal;
	if (write(STDERR_FILENO, complaint, sizeof complaint - 1) < 0)
		_exit(ERR_MEMORY);
	_exit(ERR_MEMORY);
}

static void
watch(void)
{
	const struct sigaction action = {.sa_handler = give_up};
	const struct itimerval seconds = {.it_value.tv_sec = 5};
	sigaction(SIGPROF, &action, NULL);
	setitimer(ITIMER_PROF, &seconds, NULL);
}

/* A program's own constructors come after those of its libraries: so the watch is over before main, whoever calls this. */
__attribute__((constructor)) void
blas_started(void)
{
	const struct sigaction action = {.sa_handler = SIG_DFL};
	const struct itimerval never = {0};
	setitimer(ITIMER_PROF, &never, NULL);
	sigaction(SIGPROF, &action, NULL);
}

/* What stands here is called before the libraries begin; a sanitizer is not ready for that. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__clang__)
__attribute__((section(".preinit_array"), used)) static void (*const before_libraries)(void) = watch;
#else
static void (*const before_libraries)(void) __attribute__((unused)) = watch;
#endif
