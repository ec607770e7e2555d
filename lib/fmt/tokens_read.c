#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "fmt/le.h"
#include "fmt/record.h"
#include "fmt/tokens.h"
#include "fmt/tokens_json.h"
#include "fmt/tokens_layout.h"

struct tokens_reader {
	char *path;
	struct in in;
	bool json, ended;
	json_t *header;
	int64_t vocab_size;
	uint64_t records;             /* of all streams joined in this file */
	uint64_t lines;               /* of JSON */
	struct tokens_counts counts;  /* of the stream being read */
	XXH3_state_t *hash;
	uint8_t *body;
	size_t body_cap;
	struct record record;
	struct tokens_json parsed;
};

/* ---- bytes ---- */

static int
truncated(const struct tokens_reader *r, struct err *e)
{
	return err_set(e, ERR_DATA, "'%s': truncated after record %llu: the program that wrote it did not finish",
		r->in.name, (unsigned long long)r->records);
}

/* n bytes of the stream, which may not end before them; they go into the checksum. */
static int
take(struct tokens_reader *r, void *p, size_t n, struct err *e)
{
	int rc = n ? in_read(&r->in, p, n, e) : 1;
	if (rc == 0 || (rc < 0 && e->code == ERR_DATA))
		return truncated(r, e);
	if (rc < 0)
		return -1;
	XXH3_128bits_update(r->hash, p, n);
	return 0;
}

/* n bytes into r->body, which grows with what is really there, not with what a damaged length claims. */
static int
take_body(struct tokens_reader *r, size_t n, struct err *e)
{
	for (size_t at = 0; at < n;) {
		size_t k = n - at < 1 << 16 ? n - at : 1 << 16;
		GROW(r->body, r->body_cap, at + k);
		if (take(r, r->body + at, k, e) < 0)
			return -1;
		at += k;
	}
	return 0;
}

/* ---- headers ---- */

static int
check_header(const json_t *h, int64_t *vocab_size, struct err *e)
{
	const char *tokenizer = NULL;
	int64_t eos = -1;
	if (!json_is_object(h))
		return err_set(e, ERR_DATA, "it is not a JSON object");
	if (json_get_string(h, "tokenizer", &tokenizer, e) < 0 ||
		json_get_int(h, "vocab_size", 0, INT32_MAX, vocab_size, e) < 0 ||
		json_get_int(h, "eos_token_id", -1, INT32_MAX, &eos, e) < 0) {
		e->code = ERR_DATA;
		return -1;
	}
	return 0;
}

static int
join_header(struct tokens_reader *r, const json_t *h, struct err *e)
{
	if (check_header(h, &r->vocab_size, e) < 0)
		return -1;
	if (r->header)
		return tokens_merge_header(r->header, h, e);
	r->header = json_deep_copy(h);
	return 0;
}

static int
read_header(struct tokens_reader *r, struct err *e)
{
	uint8_t length[4];
	if (take(r, length, sizeof length, e) < 0)
		return -1;
	uint32_t n = le32_get(length);
	if (n > TOKENS_HEADER_MAX)
		return err_set(e, ERR_DATA, "'%s': its header has %u bytes; at most %d are allowed", r->in.name, n,
			TOKENS_HEADER_MAX);
	if (take_body(r, n, e) < 0)
		return -1;
	json_t *h = json_read(r->in.name, (char *)r->body, n, e);
	if (!h)
		return -1;
	int rc = join_header(r, h, e);
	json_decref(h);
	return rc < 0 ? err_prefix(e, "'%s': header: ", r->in.name) : 0;
}

static void
keep_common(json_t *into, const json_t *h)
{
	const char *key;
	json_t *v;
	void *next;
	json_object_foreach_safe(into, next, key, v)
		if (strcmp(key, "source") != 0 && !json_equal(v, json_object_get(h, key)))
			json_object_del(into, key);
}

static bool
is_known(const json_t *v)
{
	return v && !json_is_null(v);
}

int
tokens_merge_header(json_t *into, const json_t *h, struct err *e)
{
	static const char *const identity[] = {"tokenizer", "vocab_size", "eos_token_id"};
	for (size_t i = 0; i < sizeof identity / sizeof *identity; i++) {
		const json_t *a = json_object_get(into, identity[i]), *b = json_object_get(h, identity[i]);
		if (is_known(a) == is_known(b) && (!is_known(a) || json_equal(a, b)))
			continue;
		char *before = json_dumps(a, JSON_ENCODE_ANY), *now = json_dumps(b, JSON_ENCODE_ANY);
		err_set(e, ERR_DATA, "its '%s' is %s, that of what came before is %s: they cannot be joined",
			identity[i], now ? now : "unknown", before ? before : "unknown");
		free(before);
		free(now);
		return -1;
	}
	keep_common(into, h);
	json_t *source = json_object_get(into, "source"), *more = json_object_get(h, "source");
	if (json_is_array(source) && json_is_array(more))
		json_array_extend(source, more);
	return 0;
}

/* ---- the binary form ---- */

/* The magic and the header of a stream whose first byte is there. */
static int
begin_stream(struct tokens_reader *r, struct err *e)
{
	char magic[TOKENS_MAGIC];
	XXH3_128bits_reset(r->hash);
	r->counts = (struct tokens_counts){0};
	if (take(r, magic, sizeof magic, e) < 0)
		return -1;
	if (memcmp(magic, tokens_magic, TOKENS_MAGIC - 1) != 0)
		return err_set(e, ERR_DATA, "'%s': what follows record %llu is not a token stream", r->in.name,
			(unsigned long long)r->records);
	if (magic[TOKENS_MAGIC - 1] != tokens_magic[TOKENS_MAGIC - 1])
		return err_set(e, ERR_DATA, "'%s': a token stream of another version than the %c that is known here",
			r->in.name, tokens_magic[TOKENS_MAGIC - 1]);
	return read_header(r, e);
}

static int
check_end(struct tokens_reader *r, struct err *e)
{
	uint8_t end[TOKENS_END - 4], hash[TOKENS_HASH];
	XXH128_canonical_t digest;
	if (take(r, end, sizeof end, e) < 0)
		return -1;
	XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(r->hash));
	if (take(r, hash, sizeof hash, e) < 0)
		return -1;
	if (memcmp(hash, digest.digest, sizeof hash) != 0)
		return err_set(e, ERR_DATA, "'%s': damaged: its checksum is not that of its content", r->in.name);
	if (le64_get(end) != r->counts.records || le64_get(end + 8) != r->counts.tokens ||
		le64_get(end + 16) != r->counts.targets)
		return err_set(e, ERR_DATA, "'%s': its end record counts %llu records, %llu were read", r->in.name,
			(unsigned long long)le64_get(end), (unsigned long long)r->counts.records);
	return 0;
}

/* Behind a correct end record: 1 when another stream begins, 0 at the end of the file. */
static int
next_stream(struct tokens_reader *r, struct err *e)
{
	const uint8_t *p;
	long n = in_peek(&r->in, &p, 1, e);
	if (n <= 0)
		return (int)n;
	return begin_stream(r, e) < 0 ? -1 : 1;
}

static int
read_binary(struct tokens_reader *r, struct example *x, struct err *e)
{
	uint8_t length[4];
	for (;;) {
		if (take(r, length, sizeof length, e) < 0)
			return -1;
		if (le32_get(length) != TOKENS_END_MARK)
			break;
		if (check_end(r, e) < 0)
			return -1;
		int rc = next_stream(r, e);
		if (rc <= 0)
			return rc;
	}
	uint32_t n = le32_get(length);
	unsigned long long number = r->records + 1;
	if (n > RECORD_MAX)
		return err_set(e, ERR_DATA, "'%s': record %llu: %u bytes are more than a record may have", r->in.name,
			number, n);
	if (take_body(r, n, e) < 0)
		return -1;
	if (record_decode(&r->record, r->body, n, r->vocab_size, x, e) < 0)
		return err_prefix(e, "'%s': record %llu: ", r->in.name, number);
	return 1;
}

/* ---- JSON lines ---- */

static bool
is_blank(const char *s, size_t n)
{
	while (n && strchr(" \t\r\n", *s) && *s)
		s++, n--;
	return n == 0;
}

static int
read_json(struct tokens_reader *r, struct example *x, struct err *e)
{
	const char *text;
	size_t n;
	int rc;
	do {
		if ((rc = in_line(&r->in, TOKENS_JSON_LINE_MAX, &text, &n, e)) <= 0)
			return rc;
		r->lines++;
	} while (is_blank(text, n));
	rc = tokens_json_read(&r->parsed, text, n, x, e);
	const json_t *header = rc == 0 ? tokens_json_header(&r->parsed) : NULL;
	if (header && (rc = join_header(r, header, e)) < 0)
		err_prefix(e, "header: ");
	if (rc == 0)
		rc = record_check(x, r->vocab_size, e);
	return rc < 0 ? err_prefix(e, "'%s': line %llu: ", r->in.name, (unsigned long long)r->lines) : 1;
}

/* ---- opening ---- */

/* Tells the two forms apart by how the input begins. */
static int
find_form(struct tokens_reader *r, struct err *e)
{
	const uint8_t *p;
	long n = in_peek(&r->in, &p, TOKENS_MAGIC, e);
	if (n < 0)
		return -1;
	size_t known = (size_t)n < TOKENS_MAGIC - 1 ? (size_t)n : TOKENS_MAGIC - 1;
	if (memcmp(p, tokens_magic, known) == 0)
		return begin_stream(r, e);
	if (n >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) {
		char bom[3];
		if (in_read(&r->in, bom, sizeof bom, e) < 0)
			return -1;
	}
	if ((n = in_peek(&r->in, &p, 1 << 16, e)) < 0)
		return -1;
	while (n && strchr(" \t\r\n", *p) && *p)
		p++, n--;
	if (n == 0)
		return err_set(e, ERR_DATA, "'%s': holds no records", r->in.name);
	if (*p != '{')
		return err_set(e, ERR_DATA, "'%s': neither a token stream nor JSON lines", r->in.name);
	r->json = true;
	return 0;
}

/* JSON lines are a token stream when the first has "input_ids", as no other record does. */
int
tokens_sniff(const char *path, struct err *e)
{
	static const char key[] = "\"input_ids\"";
	struct in in;
	const uint8_t *p;
	if (in_open_unpacked(&in, path, e) < 0)
		return -1;
	long n = in_peek(&in, &p, 1 << 16, e);
	int found = n < 0 ? -1 : n >= TOKENS_MAGIC && memcmp(p, tokens_magic, TOKENS_MAGIC - 1) == 0;
	for (long i = 0; found == 0 && i + (long)sizeof key - 1 <= n && p[i] != '\n'; i++)
		found = memcmp(p + i, key, sizeof key - 1) == 0;
	in_close(&in);
	return found;
}

struct tokens_reader *
tokens_open(const char *path, struct err *e)
{
	struct tokens_reader *r = xcalloc(1, sizeof *r);
	r->path = xstrdup(path);
	r->hash = hash_state_new();
	r->in.fd = -1;
	if (in_open_unpacked(&r->in, r->path, e) == 0 && find_form(r, e) == 0)
		return r;
	tokens_close(r);
	return NULL;
}

void
tokens_close(struct tokens_reader *r)
{
	if (!r)
		return;
	in_close(&r->in);
	json_decref(r->header);
	tokens_json_release(&r->parsed);
	record_release(&r->record);
	free(r->hash);
	free(r->body);
	free(r->path);
	free(r);
}

const json_t *
tokens_header(const struct tokens_reader *r)
{
	return r->header;
}

uint64_t
tokens_count(const struct tokens_reader *r)
{
	return r->records;
}

uint64_t
tokens_fetched(const struct tokens_reader *r)
{
	return in_fetched(&r->in);
}

int
tokens_read(struct tokens_reader *r, struct example *x, struct err *e)
{
	if (r->ended)
		return 0;
	int rc = r->json ? read_json(r, x, e) : read_binary(r, x, e);
	r->ended = rc == 0;
	if (rc <= 0)
		return rc;
	r->records++;
	r->counts.records++;
	r->counts.tokens += x->n;
	r->counts.targets += example_targets(x);
	return 1;
}
