/* replay [FILE|DIRECTORY...]: runs a fuzz target on files, and on all files of directories, without libFuzzer. Each input
 * may take ten seconds, or a hundred under an emulator, and no input may end the process. Says on stderr how many there were. */
#define _GNU_SOURCE
#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "fuzz.h"

enum { SECONDS = 10 };

static const char *running; /* NULL: no input is being run */
static size_t n;

static void
at_exit(void)
{
	if (running) {
		fprintf(stderr, "replay: '%s' ended the process\n", running);
		_exit(70);
	}
}

static void
run(const char *path)
{
	struct buf b = {0};
	struct err e;
	if (file_read(path, SIZE_MAX / 2, &b, &e) < 0) {
		fprintf(stderr, "replay: %s\n", e.msg);
		exit(66);
	}
	struct fuzz_part whole = {b.data, b.len};
	char *copy = fuzz_copy(whole);
	running = path;
	alarm(getenv("HONE_EMULATED") ? 10 * SECONDS : SECONDS);
	LLVMFuzzerTestOneInput((const uint8_t *)copy, b.len);
	alarm(0);
	running = NULL;
	free(copy);
	buf_release(&b);
	n++;
}

int
main(int argc, char **argv)
{
	(void)argc;
	atexit(at_exit);
	FTS *tree = fts_open(argv + 1, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
	for (FTSENT *f; tree && (f = fts_read(tree));) {
		if (f->fts_info == FTS_F)
			run(f->fts_path);
		else if (f->fts_info == FTS_ERR || f->fts_info == FTS_NS || f->fts_info == FTS_DNR) {
			fprintf(stderr, "replay: cannot read '%s': %s\n", f->fts_path, strerror(f->fts_errno));
			return 66;
		}
	}
	if (tree)
		fts_close(tree);
	fprintf(stderr, "%zu inputs\n", n);
	return n ? 0 : 66;
}
