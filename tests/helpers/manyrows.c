/* usage: manyrows N [FORM]
 *
 * Writes N records of a made-up classification as JSON lines, no two of them alike: {"prompt", "completion"}, or with
 * FORM "predictions" lines of a predictions file. The same N gives the same bytes. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const subjects[] = {"the printer", "my account", "an invoice", "the server", "our backup", "the screen",
	"a password", "the phone", "his laptop", "the network"};
static const char *const troubles[] = {"does not answer", "was charged twice", "is locked", "shows an error", "is too slow",
	"went missing", "smells of smoke", "was never delivered", "cannot be reset", "restarts all the time"};
static const char *const times[] = {"since Monday", "after the update", "every morning", "for a week", "since yesterday",
	"whenever it rains", "at noon", "again"};
static const char *const labels[] = {"hardware", "billing", "access", "network", "delivery", "other"};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define PICK(a, r) ((a)[(r) % COUNT(a)])

/* Steele, Lea and Flood: Fast splittable pseudorandom number generators, 2014. */
static uint64_t
scatter(uint64_t x)
{
	x = (x + 1) * 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static void
record(uint64_t i)
{
	uint64_t r = scatter(i);
	printf("{\"prompt\": \"Ticket %ju: %s %s %s, says caller %u.\\n\\n###\\n\\n\", \"completion\": \" %s\"}\n", (uintmax_t)i,
		PICK(subjects, r), PICK(troubles, r >> 8), PICK(times, r >> 16), (unsigned)(r >> 32) % 1000000,
		PICK(labels, r >> 24));
}

static void
prediction(uint64_t i)
{
	uint64_t r = scatter(i);
	double p = (double)(r >> 40) / (double)(1 << 24), rest = 1 - p;
	const char *first = PICK(labels, r), *second = PICK(labels, r + 1);
	printf("{\"line\": %ju, \"label\": \"%s\", \"prediction\": \"%s\", \"scores\": {\"%s\": %.17g, \"%s\": %.17g}}\n",
		(uintmax_t)i + 1, r >> 20 & 7 ? first : second, p >= rest ? first : second, first, p, second, rest);
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: manyrows N [predictions]\n");
		return 64;
	}
	uint64_t n = strtoull(argv[1], NULL, 10);
	void (*write)(uint64_t) = argc > 2 && strcmp(argv[2], "predictions") == 0 ? prediction : record;
	for (uint64_t i = 0; i < n; i++)
		write(i);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : 74;
}
