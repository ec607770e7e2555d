#include "text/spm_model.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/unicode.h"
#include "text/vocab.h"

/* ---- the wire format of protocol buffers ---- */

enum wire { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct message {
	const uint8_t *p, *end;
	const char *name;  /* for errors */
};

struct field {
	uint32_t number;
	enum wire wire;
	uint64_t value;          /* VARINT, FIXED32, FIXED64 */
	struct spm_bytes bytes;  /* BYTES */
};

static int
broken(const struct message *m, const char *what, struct err *e)
{
	return err_set(e, ERR_CONFIG, "not a SentencePiece model: %s in its %s", what, m->name);
}

static int
read_varint(struct message *m, uint64_t *v, struct err *e)
{
	*v = 0;
	for (int shift = 0; shift < 64; shift += 7) {
		if (m->p == m->end)
			return broken(m, "a number ends too early", e);
		uint8_t b = *m->p++;
		if (shift == 63 && b > 1)
			break;
		*v |= (uint64_t)(b & 0x7f) << shift;
		if (!(b & 0x80))
			return 0;
	}
	return broken(m, "a number is longer than 64 bits", e);
}

static int
read_fixed(struct message *m, size_t n, uint64_t *v, struct err *e)
{
	if ((size_t)(m->end - m->p) < n)
		return broken(m, "a number ends too early", e);
	*v = 0;
	for (size_t i = 0; i < n; i++)
		*v |= (uint64_t)m->p[i] << 8 * i;
	m->p += n;
	return 0;
}

/* The next field: 1, 0 at the end, -1 on an error. */
static int
next_field(struct message *m, struct field *f, struct err *e)
{
	uint64_t key, n;
	if (m->p == m->end)
		return 0;
	if (read_varint(m, &key, e) < 0)
		return -1;
	if (key >> 3 == 0 || key >> 3 >= 1u << 29)
		return broken(m, "a field has an impossible number", e);
	*f = (struct field){.number = (uint32_t)(key >> 3), .wire = (enum wire)(key & 7)};
	switch (f->wire) {
	case VARINT:
		return read_varint(m, &f->value, e) < 0 ? -1 : 1;
	case FIXED64:
		return read_fixed(m, 8, &f->value, e) < 0 ? -1 : 1;
	case FIXED32:
		return read_fixed(m, 4, &f->value, e) < 0 ? -1 : 1;
	case BYTES:
		if (read_varint(m, &n, e) < 0)
			return -1;
		if (n > (uint64_t)(m->end - m->p))
			return broken(m, "a field ends too early", e);
		f->bytes = (struct spm_bytes){(const char *)m->p, (size_t)n};
		m->p += n;
		return 1;
	default:
		return broken(m, "a field has an impossible type", e);
	}
}

static int
want(const struct message *m, const struct field *f, enum wire wire, struct err *e)
{
	if (f->wire == wire)
		return 0;
	return err_set(e, ERR_CONFIG, "not a SentencePiece model: field %u of its %s is of another type", f->number,
		m->name);
}

static struct message
inside(const struct field *f, const char *name)
{
	const uint8_t *p = (const uint8_t *)f->bytes.p;
	return (struct message){p, p + f->bytes.n, name};
}

/* ---- messages ---- */

static int
read_piece(struct spm_model *m, struct message in, struct err *e)
{
	struct spm_piece p = {.type = SPM_NORMAL};
	struct field f = {0};
	uint32_t bits = 0;
	int rc;
	while ((rc = next_field(&in, &f, e)) > 0) {
		if (f.number == 1 && want(&in, &f, BYTES, e) == 0)
			p.text = f.bytes;
		else if (f.number == 2 && want(&in, &f, FIXED32, e) == 0)
			bits = (uint32_t)f.value;
		else if (f.number == 3 && want(&in, &f, VARINT, e) == 0 && f.value <= SPM_BYTE)
			p.type = (enum spm_type)f.value;
		else if (f.number == 3 && f.wire == VARINT)
			return err_set(e, ERR_CONFIG, "piece %zu is of the unknown type %llu", m->n,
				(unsigned long long)f.value);
		else if (f.number <= 3)
			return -1;
	}
	if (rc < 0)
		return -1;
	memcpy(&p.score, &bits, sizeof p.score);
	if (!p.text.n || p.text.n >= SPM_PIECE_MAX || memchr(p.text.p, '\0', p.text.n) ||
		uni_check(p.text.p, p.text.n) < p.text.n)
		return err_set(e, ERR_CONFIG, "piece %zu is empty, too long, or not UTF-8", m->n);
	if (!isfinite(p.score))
		return err_set(e, ERR_CONFIG, "piece %zu has no finite score", m->n);
	if (p.type < SPM_NORMAL)
		return err_set(e, ERR_CONFIG, "piece %zu is of the unknown type 0", m->n);
	if (m->n == VOCAB_MAX_ID)
		return err_set(e, ERR_CONFIG, "more than %d pieces", VOCAB_MAX_ID);
	GROW(m->piece, m->cap, m->n + 1);
	m->piece[m->n++] = p;
	return 0;
}

struct names {
	struct spm_bytes bos, eos;
};

static int
refuse(const char *what, struct err *e)
{
	return err_set(e, ERR_CONFIG, "%s is not supported", what);
}

static int
read_trainer(struct spm_model *m, struct message in, struct names *names, struct err *e)
{
	struct field f = {0};
	int rc;
	while ((rc = next_field(&in, &f, e)) > 0) {
		bool is_string = f.number >= 44 && f.number <= 47;
		if (f.number != 3 && f.number != 24 && f.number != 35 && !is_string)
			continue;
		if (want(&in, &f, is_string ? BYTES : VARINT, e) < 0)
			return -1;
		if (f.number == 3 && (f.value < SPM_UNIGRAM || f.value > SPM_CHAR))
			return err_set(e, ERR_CONFIG, "model_type is %llu, and none is known by this number",
				(unsigned long long)f.value);
		if (f.number == 3)
			m->algorithm = (enum spm_algorithm)f.value;
		else if (f.number == 24 && f.value)
			return refuse("treat_whitespace_as_suffix", e);
		else if (f.number == 35)
			m->byte_fallback = f.value;
		else if (f.number == 44)
			m->unk_surface = f.bytes;
		else if (f.number == 46 && f.bytes.n)
			names->bos = f.bytes;
		else if (f.number == 47 && f.bytes.n)
			names->eos = f.bytes;
	}
	return rc;
}

static int
read_normalizer(struct spm_model *m, struct message in, struct err *e)
{
	struct field f = {0};
	int rc;
	while ((rc = next_field(&in, &f, e)) > 0) {
		if (f.number < 2 || f.number > 5)
			continue;
		if (want(&in, &f, f.number == 2 ? BYTES : VARINT, e) < 0)
			return -1;
		if (f.number == 2)
			m->charsmap = f.bytes;
		else if (f.number == 3)
			m->add_dummy_prefix = f.value;
		else if (f.number == 4)
			m->remove_extra_whitespaces = f.value;
		else
			m->escape_whitespaces = f.value;
	}
	return rc;
}

static int
read_denormalizer(struct message in, struct err *e)
{
	struct field f = {0};
	int rc;
	while ((rc = next_field(&in, &f, e)) > 0)
		if (f.number == 2 && f.wire == BYTES && f.bytes.n)
			return refuse("a denormalizer_spec with a precompiled_charsmap", e);
	return rc;
}

static int
read_model(struct spm_model *m, struct message in, struct names *names, struct err *e)
{
	struct field f = {0};
	int rc;
	while ((rc = next_field(&in, &f, e)) > 0) {
		if (f.number > 5 || f.number == 4)
			continue;
		if (want(&in, &f, BYTES, e) < 0)
			return -1;
		if (f.number == 1)
			rc = read_piece(m, inside(&f, "piece"), e);
		else if (f.number == 2)
			rc = read_trainer(m, inside(&f, "trainer_spec"), names, e);
		else if (f.number == 3)
			rc = read_normalizer(m, inside(&f, "normalizer_spec"), e);
		else
			rc = read_denormalizer(inside(&f, "denormalizer_spec"), e);
		if (rc < 0)
			return -1;
	}
	return rc;
}

/* ---- what must hold of it all ---- */

static bool
is(struct spm_bytes a, struct spm_bytes b)
{
	return a.n == b.n && !memcmp(a.p, b.p, a.n);
}

/* The value of an upper-case hexadecimal digit, or -1. */
static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int
note_byte(struct spm_model *m, size_t id, struct err *e)
{
	const struct spm_bytes *t = &m->piece[id].text;
	bool spelt = t->n == 6 && !memcmp(t->p, "<0x", 3) && t->p[5] == '>';
	int high = spelt ? hex_digit(t->p[3]) : -1, low = spelt ? hex_digit(t->p[4]) : -1;
	if (high < 0 || low < 0)
		return err_set(e, ERR_CONFIG, "piece %zu, '%.*s', is said to be a byte", id,
			(int)(t->n < 64 ? t->n : 64), t->p);
	m->byte_id[high * 16 + low] = (int32_t)id;
	return 0;
}

static int
find_pieces(struct spm_model *m, const struct names *names, struct err *e)
{
	m->unk = m->bos = m->eos = -1;
	memset(m->byte_id, 0xff, sizeof m->byte_id);
	for (size_t i = 0; i < m->n; i++) {
		const struct spm_piece *p = &m->piece[i];
		if (p->type == SPM_UNKNOWN && m->unk >= 0)
			return err_set(e, ERR_CONFIG, "pieces %d and %zu are both of type UNKNOWN", m->unk, i);
		if (p->type == SPM_UNKNOWN)
			m->unk = (int32_t)i;
		if (p->type == SPM_CONTROL && is(p->text, names->bos))
			m->bos = (int32_t)i;
		if (p->type == SPM_CONTROL && is(p->text, names->eos))
			m->eos = (int32_t)i;
		if (p->type == SPM_BYTE && note_byte(m, i, e) < 0)
			return -1;
	}
	return m->unk < 0 ? err_set(e, ERR_CONFIG, "no piece is of type UNKNOWN") : 0;
}

static int
check(struct spm_model *m, const struct names *names, struct err *e)
{
	static const char *const algorithms[] = {NULL, NULL, NULL, "WORD", "CHAR"};
	if (find_pieces(m, names, e) < 0)
		return -1;
	if (m->algorithm > SPM_BPE)
		return err_set(e, ERR_CONFIG, "model_type %s is not supported; BPE and UNIGRAM are",
			algorithms[m->algorithm]);
	for (int i = 0; i < 256 && m->byte_fallback; i++)
		if (m->byte_id[i] < 0)
			return err_set(e, ERR_CONFIG, "byte_fallback is set, but there is no piece <0x%02X>", i);
	for (size_t i = 0; i < m->n; i++) {
		if (m->piece[i].type == SPM_BYTE && !m->byte_fallback)
			return err_set(e, ERR_CONFIG, "piece %zu is a byte, but byte_fallback is not set", i);
		if (m->piece[i].type == SPM_UNUSED && m->algorithm == SPM_BPE)
			return err_set(e, ERR_CONFIG, "piece %zu is UNUSED, which is not supported in BPE", i);
	}
	return 0;
}

int
spm_model_read(struct spm_model *m, const char *data, size_t n, struct err *e)
{
	static const char unk_surface[] = " \xe2\x81\x87 ";
	struct names names = {{"<s>", 3}, {"</s>", 4}};
	const uint8_t *p = (const uint8_t *)data;
	*m = (struct spm_model){.algorithm = SPM_UNIGRAM, .unk_surface = {unk_surface, sizeof unk_surface - 1},
		.add_dummy_prefix = true, .remove_extra_whitespaces = true, .escape_whitespaces = true};
	if (read_model(m, (struct message){p, p + n, "outermost message"}, &names, e) == 0 &&
		check(m, &names, e) == 0)
		return 0;
	spm_model_release(m);
	return -1;
}

void
spm_model_release(struct spm_model *m)
{
	free(m->piece);
	*m = (struct spm_model){0};
}
