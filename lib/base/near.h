/* How near two names are, for "did you mean". */
#ifndef HONE_BASE_NEAR_H
#define HONE_BASE_NEAR_H

/* Levenshtein distance; names of more than NEAR_MAX bytes are infinitely far (INT_MAX). */
enum { NEAR_MAX = 255 };
int near_distance(const char *a, const char *b);

#endif
