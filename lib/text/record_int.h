/* Shared by record*.c only. */
#ifndef HONE_TEXT_RECORD_INT_H
#define HONE_TEXT_RECORD_INT_H

#include <jansson.h>

#include "text/fields.h"
#include "text/record.h"

/* Borrowed bytes. */
struct text {
	const char *p;
	size_t n;
};

/* The texts of the tokenizer's special tokens. */
struct record_specials {
	const char **text;  /* [n] */
	size_t *len;        /* [n] */
	size_t n, longest;
	bool first[256];    /* whether one starts with this byte */
};

struct record_maker {
	const struct record_options *opt;
	enum record_format format;  /* RECORD_AUTO until the first record */
	struct encoder *encoder;
	size_t front, behind;       /* tokens that the post-processor puts before and behind a text */
	struct record_specials specials;
	int32_t eos;                /* -1: none is to be added */
	struct fields fields;       /* the record at hand, when record is NULL */
	json_t *record;
	double *weights;            /* of a conversation's messages */
	size_t weights_cap;
	unsigned remarks;           /* enum record_remark, a bit each */
	struct ids ids, joined;
	struct span *spans;
	size_t n_spans, spans_cap;
	size_t covered;             /* tokens that the spans cover */
	uint32_t completion;
	struct buf text, other, label, whole;
	bool has_label;
};

/* Gives the tokens from the end of the last span up to ids.n one weight. */
void record_span(struct record_maker *m, double weight);

/* ---- record_form.c ---- */

/* Reads a line into m->fields or m->record. */
int record_load(struct record_maker *m, const char *line, size_t n, struct err *e);

/* The format by the keys, or -1 with ERR_DATA. `answered`: the keys of an answer must be there, too. */
int record_form(const struct record_maker *m, bool answered, const char **keys, struct err *e);

bool record_has(const struct record_maker *m, const char *key);

/* A member that is a string; one that is optional may be missing or null, and is empty then. */
int record_text(const struct record_maker *m, const char *key, bool optional, struct text *t, struct err *e);

/* Appends "label": a string, or a whole number written out. */
int record_label(const struct record_maker *m, struct buf *b, struct err *e);

/* ---- record_pair.c: these fill ids, spans, completion and label ---- */

int record_pair(struct record_maker *m, struct err *e);
int record_pair_prompt(struct record_maker *m, struct err *e);
int record_plain(struct record_maker *m, struct err *e);

/* ---- record_messages.c ---- */

/* Brings the conversation to the form that templates read, "messages" of "role" and "content", and takes the weights
 * out of it into m->weights. */
int record_messages_prepare(struct record_maker *m, struct err *e);

bool record_is_assistant(const json_t *message);

/* ---- record_turn.c ---- */

/* An assistant's turn in the rendered conversation R, which m->whole holds. */
struct record_turn {
	size_t index;        /* of the message */
	size_t start, end;   /* bytes of R */
	size_t content_end;  /* where the message's content ends in R, if found */
	bool found_content;
	size_t stop; /* behind the token that ends the turn: what follows up to `end` is not a target */
	double weight;
};

const json_t *record_messages(const struct record_maker *m);

/* The template's text of a list of messages, or of the first n of the record's, in place of what *out
 * held. */
int record_render(
	struct record_maker *m, const json_t *messages, bool generate, struct buf *out, struct err *e);
int record_render_first(struct record_maker *m, size_t n, bool generate, struct buf *out, struct err *e);

/* Finds turn t->index, which is to start at byte `from` or later. */
int record_locate(struct record_maker *m, struct record_turn *t, size_t from, struct err *e);

/* ---- record_chat.c ---- */

/* Fills ids, spans and completion from a conversation. */
int record_chat(struct record_maker *m, struct err *e);

/* The ids of a conversation up to where the assistant is to answer. */
int record_chat_prompt(struct record_maker *m, struct err *e);

#endif
