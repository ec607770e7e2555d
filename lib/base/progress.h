/* How far a long work has come: one line on a terminal's stderr that is rewritten in place, at most five times a second.
 * Elsewhere nothing, or a line of its own every plain_every seconds. Of several programs on one terminal, as in a
 * pipeline, one shows its line. */
#ifndef HONE_BASE_PROGRESS_H
#define HONE_BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	const char *what;   /* "tokenizing" */
	uint64_t total;     /* in `unit`s; 0 when unknown */
	const char *unit;   /* "records"; "B": bytes, shown as sizes */
	uint64_t first;     /* how much had been done before; progress_start: 0 */
	double plain_every; /* progress_start: 0, never */
	double share;       /* of the whole that is done, where that is known otherwise than by total; progress_start: 0 */
	double started, shown;
	bool on;
};

void progress_start(struct progress *p, const char *what, const char *unit, uint64_t total);
void progress_show(struct progress *p, uint64_t done, const char *more);  /* `more`: text behind, or NULL */
void progress_end(struct progress *p);                                     /* clears the line */

/* progress_show as a library calls it, that knows no terminal: `progress` is a started struct progress. */
void progress_told(void *progress, uint64_t done, uint64_t total);
void progress_share(void *progress, uint64_t done, double share);

/* Takes the line away for something else that is to be printed. */
void progress_clear(void);

#endif
