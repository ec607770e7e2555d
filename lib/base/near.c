#include "base/near.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int
lower(char c)
{
	return tolower((unsigned char)c);
}

int
near_distance(const char *a, const char *b)
{
	int row[NEAR_MAX + 1], n = (int)strnlen(b, NEAR_MAX + 1);
	if (n > NEAR_MAX)
		return INT_MAX;
	for (int j = 0; j <= n; j++)
		row[j] = j;
	for (int i = 1; *a; i++, a++) {
		int diagonal = row[0];
		row[0] = i;
		for (int j = 1; j <= n; j++) {
			int best = diagonal + (lower(*a) != lower(b[j - 1]));
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[n];
}

enum { TOO_FAR = 4, PREFIX_MIN = 3 };

void
near_init(struct near *n, const char *name)
{
	*n = (struct near){.name = name, .least = TOO_FAR};
}

void
near_try(struct near *n, const char *known, const char *shown)
{
	size_t length = strlen(n->name);
	int d = near_distance(n->name, known);
	if (d == INT_MAX)
		return;
	if (2 * (size_t)d > length || d >= TOO_FAR)
		d = length >= PREFIX_MIN && strncasecmp(n->name, known, length) == 0 ? TOO_FAR - 1 : TOO_FAR;
	if (!shown)
		shown = known;
	if (d >= n->least || strlen(shown) > NEAR_MAX)
		return;
	n->least = d;
	snprintf(n->best, sizeof n->best, "%s", shown);
}
