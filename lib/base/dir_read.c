#define _GNU_SOURCE  /* O_PATH */
#include "base/dir_read.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES = 20 };

int
dir_hold(const char *dir)
{
	return open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

bool
dir_replaced(int hold, const char *dir, struct err *e)
{
	struct stat then, now;
	if (hold < 0 || fstat(hold, &then) < 0 || stat(dir, &now) < 0)
		return false;
	if (then.st_dev == now.st_dev && then.st_ino == now.st_ino)
		return false;
	err_set(e, ERR_TEMPFAIL, "'%s' was replaced while it was read", dir);
	return true;
}

void
dir_let_go(int hold)
{
	if (hold >= 0)
		close(hold);
}

int
dir_read(const char *dir, int read(void *ctx, struct err *e), void drop(void *ctx), void *ctx, struct err *e)
{
	for (int i = 0; i < TRIES; i++) {
		struct err replaced;
		int hold = dir_hold(dir), rc = read(ctx, e);
		bool again = dir_replaced(hold, dir, &replaced);
		dir_let_go(hold);
		if (!again)
			return rc;
		if (rc == 0)
			drop(ctx);
	}
	return err_set(e, ERR_TEMPFAIL, "'%s' is replaced again and again while it is read", dir);
}
