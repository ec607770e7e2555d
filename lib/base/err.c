#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void
append(struct err *e, size_t at, const char *text)
{
	snprintf(e->msg + at, sizeof e->msg - at, "%s", text);
}

int
err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	e->code = code;
	e->sys = 0;
	vsnprintf(e->msg, sizeof e->msg, fmt, ap);
	va_end(ap);
	return -1;
}

/* Memory can be out in the kernel, too; and what cannot be created for want of room is not wrong with its name. */
static int
code_of(int code, int error)
{
	if (error == ENOMEM)
		return ERR_MEMORY;
	return code == ERR_CANTCREAT && (error == ENOSPC || error == EDQUOT || error == EIO) ? ERR_IO : code;
}

int
err_sys(struct err *e, int code, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	va_start(ap, fmt);
	e->code = code_of(code, saved);
	e->sys = saved;
	vsnprintf(e->msg, sizeof e->msg, fmt, ap);
	va_end(ap);
	append(e, strlen(e->msg), ": ");
	append(e, strlen(e->msg), strerror(saved));
	return -1;
}

int
err_prefix(struct err *e, const char *fmt, ...)
{
	char old[sizeof e->msg];
	memcpy(old, e->msg, sizeof old);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->msg, sizeof e->msg, fmt, ap);
	va_end(ap);
	append(e, strlen(e->msg), old);
	return -1;
}
