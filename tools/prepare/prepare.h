/* hone-prepare: a file of training data, its rows, and what is done with them.
 *
 * input.c reads the bytes and hands out records; columns.c says which column is what; rows.c turns records into rows
 * (chat.c, sharegpt.c: conversations); clean.c, affix.c, classes.c and tokens.c check and repair them; split.c parts
 * them; write.c writes. Everything is in memory, so a run needs about twice the file's size. */
#ifndef HONE_PREPARE_H
#define HONE_PREPARE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/opt.h"
#include "base/progress.h"
#include "report.h"
#include "text/csv.h"

/* ---- options ---- */

struct options {
	const char *output; /* prefix, directory, "-", or NULL: beside the input */
	const char *report; /* file for the JSON report, or NULL */
	bool check;
	const char *format, *header, *quotes, *encoding, *on_error;
	struct opt_list columns;
	double validation; /* fraction; 0: none */
	const char *validation_file;
	bool dedup;
	int min_chars;
	const char *lower_case, *strip_prefix; /* "none|prompt|completion|both" */
	const char *separator, *ending;        /* escapes still in them; NULL: none */
	bool completion_space;
	const char *model, *template_name, *overlong;
	int max_length;
};

/* ---- the bytes ---- */

enum input_format { INPUT_AUTO, INPUT_CSV, INPUT_TSV, INPUT_JSON, INPUT_JSONL, INPUT_TXT };

enum { COLUMNS_MAX = 256 };

struct input {
	const char *name; /* for messages */
	struct buf data;
	const char *text; /* data behind a byte order mark */
	size_t n;
	enum input_format format;
	bool quotes, header; /* of CSV and TSV */
	bool literal_quotes; /* quotes were no syntax, as the file showed */
	bool mislabelled;    /* JSON lines in .json, or a list in .jsonl */
	bool records;        /* records are counted, as lines are not known */
	bool bom;
	uint64_t crlf;
	struct tally not_utf8;     /* lines */
	char *column[COLUMNS_MAX]; /* names of columns or keys; "1", "2"... without a header */
	size_t columns;
	bool more_columns; /* than COLUMNS_MAX */
};

/* One record of the file; one of object, cells, wrong. */
struct record {
	uint64_t line;
	const json_t *object;
	const struct csv_row *cells;
	const char *wrong; /* why it cannot be read */
	const char *end;   /* where in the input's text it ends; NULL: not known */
};

struct input_sink {
	int (*record)(void *arg, const struct record *r, struct err *e);
	void *arg;
};

/* Reads a file ("-": standard input; gzip and zstd are decompressed), decodes it, and settles its format and columns.
 * `file` is its number in tallies. What input_close leaves is empty. */
int input_open(struct input *in, const char *path, int file, const struct options *opt, struct err *e);
void input_close(struct input *in);

/* Every record in order; the header is none. */
int input_each(const struct input *in, const struct input_sink *sink, struct err *e);

/* How much of a file's name is left without ".gz" or ".zst". */
size_t input_name_length(const char *name);

const char *input_format_name(enum input_format f);

/* input_json.c: the records of JSON and JSON lines. */
int input_json_each(const struct input *in, const struct input_sink *sink, struct err *e);
int input_json_settle(struct input *in, struct err *e); /* lists or lines; the columns */

/* ---- what the columns are ---- */

enum form { FORM_CHAT, FORM_COMPLETION, FORM_ALPACA, FORM_CLASSIFICATION, FORM_TEXT };
enum field { FIELD_PROMPT, FIELD_COMPLETION, FIELD_INPUT, FIELDS };

struct mapping {
	enum form form;
	int column[FIELDS]; /* of struct input; -1: none */
	bool renamed;       /* a column has another name than its field */
	bool sharegpt;      /* FORM_CHAT: "conversations" */
};

const char *form_name(enum form f);

/* What a field is called in the output, or NULL when the form does not have it. */
const char *form_field(enum form f, enum field i);

/* ERR_DATA when no mapping is known for the columns, ERR_USAGE when --columns does not fit them. */
int columns_map(struct mapping *m, const struct input *in, const struct options *opt, struct err *e);

/* Whether a row of CSV looks like a header: one of its fields is a name that columns_map knows. */
bool columns_known(const struct csv_row *row, const struct options *opt);

/* ---- rows ---- */

struct text {
	size_t at, n; /* bytes of data.store */
};

/* Conversations have as FIELD_COMPLETION the record as it is written, and as FIELD_PROMPT what precedes the last
 * answer. Texts have FIELD_COMPLETION only. */
struct row {
	uint64_t line;
	struct text field[FIELDS];
	struct text frame; /* FORM_ALPACA: "system" and "history", as text of JSON */
	uint8_t file;      /* 0, or 1: the validation file */
	bool validation;   /* which part it goes to */
	bool dropped;
	uint32_t group;  /* rows with one prompt */
	uint64_t order;  /* the hash of that prompt */
	uint32_t class;  /* NO_CLASS: none */
	uint32_t tokens; /* with --model */
};

/* Conversations with something wrong, by what. */
struct chat_tallies {
	struct tally list, keys, unknown_keys, roles, empty, empty_other, assistant, weights, odd_weights, last;
	char unknown_key[64], unknown_role[64];
};

/* Rows as they were read, of both files. */
struct row_tallies {
	struct tally malformed, converted, trimmed;
	char why[160]; /* of the first malformed row */
	struct chat_tallies chat;
};

#define NO_CLASS UINT32_MAX

struct class
{
	struct text label; /* as in the first row that has it */
	uint64_t rows[2];  /* in training, in validation */
};

struct data {
	enum form form;
	struct buf store;
	struct row *row;
	size_t n, cap;
	size_t groups;
	bool classification;
	struct class *class;
	size_t classes, class_cap;
	struct row_tallies read;
	const struct options *opt;
	struct report report;
	struct progress progress;  /* of the work at hand */
};

static inline const char *
text_of(const struct data *d, struct text t)
{
	return d->store.data + t.at;
}

/* Puts n bytes into the store, which may move. */
struct text data_keep(struct data *d, const char *p, size_t n);

/* A record as text that reads back to the same values; the caller frees. NULL: out of memory. */
char *chat_text(const json_t *o, size_t flags);

/* White space around a text taken off. */
struct text data_trim(const struct data *d, struct text t);

/* Rows that are not dropped. */
uint64_t data_left(const struct data *d);
void data_release(struct data *d);

/* Adds the rows of a file, and the findings about its form. The mapping of the second file must have the same form. */
int rows_load(struct data *d, const struct input *in, int file, const struct mapping *m, struct err *e);

/* chat.c */
enum chat_verdict { CHAT_FINE, CHAT_REMOVED, CHAT_WRONG };

/* Checks a conversation and counts what is wrong with it. */
enum chat_verdict chat_check(struct chat_tallies *t, const json_t *record, int file, uint64_t line);
void chat_report(struct data *d, const struct chat_tallies *t, bool skip);

/* The messages that precede the last answer, as text. */
char *chat_context(const json_t *record);

/* sharegpt.c: {"conversations": [{"from", "value"}]} as {"messages"}; a new reference, or NULL when it is not of that
 * form. */
json_t *sharegpt_convert(const json_t *record);

/* ---- checks and repairs ---- */

void clean_empty(struct data *d);
int clean_case(struct data *d, struct err *e);
void clean_near_empty(struct data *d);
void clean_duplicates(struct data *d);

/* affix.c: what all prompts or completions begin or end with. */
int affix_check(struct data *d, struct err *e);

/* classes.c: whether the completions are labels; which classes the rows are of; what there is to say of them, after
 * which the classes are in another order than rows know them by. */
void classes_task(struct data *d);
void classes_find(struct data *d);
void classes_report(struct data *d, bool parts);
void classes_print(const struct data *d, FILE *f);

/* tokens.c: lengths, and the first tokens of labels, under --model; without it, lengths in characters. */
int tokens_check(struct data *d, struct err *e);

/* split.c: rows with one prompt are a group, and stay together. */
void split_group(struct data *d);
void split_leakage(struct data *d);
void split_parts(struct data *d);

/* A text without regard to white space and to the case of ASCII, in place of what *key held. */
void text_key(const struct data *d, struct text t, struct buf *key);

/* ---- outputs ---- */

/* A row as a line of JSON; the caller frees. NULL: not UTF-8 (a fault of ours) or out of memory. */
char *row_json(const struct data *d, const struct row *r);

/* The files to write, of what the options and the input's name say. */
struct parts {
	char *path[2]; /* training or all, and validation (NULL: none) */
};

/* ERR_CANTCREAT when one of them is an input. */
int parts_init(struct parts *p, const char *input, const struct options *opt, struct err *e);
void parts_release(struct parts *p);

/* Writes both, or neither if that cannot be; counts and names go into the report's "outputs". */
int parts_write(const struct parts *p, struct data *d, struct err *e);

#endif
