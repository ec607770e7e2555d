/* How near two names are, for "did you mean". */
#ifndef HONE_BASE_NEAR_H
#define HONE_BASE_NEAR_H

/* Levenshtein distance, capitals like small letters; names of more than NEAR_MAX bytes are infinitely far (INT_MAX). */
enum { NEAR_MAX = 255 };
int near_distance(const char *a, const char *b);

/* The nearest of several names. */
struct near {
	const char *name;         /* what was asked for; borrowed */
	int least;                /* how far `best` is from it */
	char best[NEAR_MAX + 1];  /* "" when nothing is near */
};

void near_init(struct near *n, const char *name);

/* Compares `known` with the name; `shown` (NULL: known) becomes `best` when it is nearer than what came before: at a
 * distance of at most three and half of the name's length, or what the name is the beginning of. */
void near_try(struct near *n, const char *known, const char *shown);

#endif
