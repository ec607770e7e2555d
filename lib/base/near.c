#include "base/near.h"

#include <limits.h>
#include <string.h>

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
			int best = diagonal + (*a != b[j - 1]);
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
