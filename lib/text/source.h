/* Records of a file, one at a time: JSON lines, or the elements of one JSON list that may have any layout. The file may
 * be compressed (base/unpack.h). Memory is that of the longest record. */
#ifndef HONE_TEXT_SOURCE_H
#define HONE_TEXT_SOURCE_H

#include "base/file.h"

enum { SOURCE_RECORD_MAX = 64 << 20 };  /* bytes */

struct source {
	struct in in;
	uint64_t line;       /* of what is read next, from 1 */
	enum { SOURCE_NEW, SOURCE_LINES, SOURCE_FIRST, SOURCE_LIST, SOURCE_END } state;
	struct buf element;
	bool can_go_on;      /* behind an error: whether another call reads the next record */
};

int source_open(struct source *s, const char *path, struct err *e);
void source_close(struct source *s);

/* The next record that is not blank, without CR and LF, in memory that the next call reuses, and the line it starts on.
 * 1, 0 at the end, -1 on an error ("'FILE': line N: ..."): a record that is too long, a list that is not one. What a record holds
 * is not looked at. */
int source_next(struct source *s, const char **text, size_t *n, uint64_t *line, struct err *e);

#endif
