/* usage: bigmodel DIR MEGABYTES layers|one
 *
 * Makes a model of so many megabytes that are all holes, DIR/base: with `layers` linear layers in shards, with `one` a
 * single tensor in a single file. DIR/adapter adapts all of it, and adds 0.125 to every weight. */
#define _DEFAULT_SOURCE  /* ftruncate beside C11 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fmt/safetensors.h"

enum { WIDTH = 4096, RANK = 8, LAYERS_A_SHARD = 20, NAME = 64, PATH = 1024 };

static void
fail(const char *what)
{
	fprintf(stderr, "bigmodel: '%s' failed\n", what);
	exit(74);
}

static FILE *
create(const char *dir, const char *name)
{
	char path[PATH + NAME];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	if (!f)
		fail(path);
	return f;
}

static void
finish(FILE *f)
{
	if (fclose(f) != 0)
		fail("fclose");
}

static void
layer_name(char name[NAME], int layer)
{
	if (layer < 0)
		snprintf(name, NAME, "lm_head");
	else
		snprintf(name, NAME, "model.layers.%d.mlp.up_proj", layer);
}

/* A safetensors file of BF16 matrices [rows, WIDTH], the layers from `first` on, without their data. */
static void
write_holes(const char *dir, const char *file, int first, int n, uint64_t rows)
{
	FILE *f = create(dir, file);
	struct buf b = {0};
	uint64_t bytes = rows * WIDTH * 2;
	for (int i = 0; i < n; i++) {
		char name[NAME];
		layer_name(name, first + i);
		buf_printf(&b, "%s\"%s.weight\":{\"dtype\":\"BF16\",\"shape\":[%ju,%d],\"data_offsets\":[%ju,%ju]}", i ? "," : "{", name,
			(uintmax_t)rows, WIDTH, (uintmax_t)(bytes * (uint64_t)i), (uintmax_t)(bytes * (uint64_t)(i + 1)));
	}
	buf_putc(&b, '}');
	uint64_t length = b.len;
	fwrite(&length, sizeof length, 1, f);
	fwrite(b.data, 1, b.len, f);
	if (fflush(f) != 0 || ftruncate(fileno(f), (off_t)(8 + b.len + bytes * (uint64_t)n)) < 0)
		fail(file);
	buf_release(&b);
	finish(f);
}

static void
write_shards(const char *dir, int layers)
{
	FILE *index = create(dir, "model.safetensors.index.json");
	int shards = (layers + LAYERS_A_SHARD - 1) / LAYERS_A_SHARD;
	fprintf(index, "{\"weight_map\": {");
	for (int i = 0; i < layers; i++) {
		char name[NAME];
		layer_name(name, i);
		fprintf(index, "%s\"%s.weight\": \"model-%05d-of-%05d.safetensors\"", i ? ", " : "", name, i / LAYERS_A_SHARD + 1, shards);
	}
	fprintf(index, "}}\n");
	finish(index);
	for (int i = 0; i < shards; i++) {
		char name[NAME];
		int first = i * LAYERS_A_SHARD, n = layers - first < LAYERS_A_SHARD ? layers - first : LAYERS_A_SHARD;
		snprintf(name, sizeof name, "model-%05d-of-%05d.safetensors", i + 1, shards);
		write_holes(dir, name, first, n, WIDTH);
	}
}

/* scale 2 · Σ of 8 · 2^-4 · 2^-3 = 0.125 */
static void
write_adapter(const char *dir, int first, int layers, uint64_t rows)
{
	size_t n = 2 * (size_t)layers;
	struct st_tensor *decl = xcalloc(n, sizeof *decl);
	char(*names)[NAME + 32] = xcalloc(n, sizeof *names);
	for (int i = 0; i < layers; i++)
		for (int half = 0; half < 2; half++) {
			char name[NAME];
			size_t at = 2 * (size_t)i + (size_t)half;
			layer_name(name, first + i);
			snprintf(names[at], sizeof *names, "base_model.model.%s.lora_%c.weight", name, "AB"[half]);
			decl[at] = (struct st_tensor){.name = names[at], .dtype = ST_F32, .rank = 2,
				.shape = {half ? (int64_t)rows : RANK, half ? RANK : WIDTH}};
		}
	char path[PATH + NAME];
	struct err e;
	snprintf(path, sizeof path, "%s/adapter_model.safetensors", dir);
	struct st_writer *w = st_create(path, true, decl, n, &e);
	if (!w)
		fail(e.msg);
	for (size_t i = 0; i < n; i++) {
		float value = i % 2 ? 0x1p-3f : 0x1p-4f;
		for (int64_t k = st_elements(&decl[i]); k > 0; k--)
			st_write(w, &value, sizeof value);
	}
	if (st_finish(w, &e) < 0)
		fail(e.msg);
	free(names);
	free(decl);
	FILE *f = create(dir, "adapter_config.json");
	fprintf(f, "{\"peft_type\": \"LORA\", \"r\": %d, \"lora_alpha\": %d, \"target_modules\": [\"%s\"]}\n", RANK, 2 * RANK,
		first < 0 ? "lm_head" : "up_proj");
	finish(f);
}

int
main(int argc, char **argv)
{
	if (argc != 4 || strlen(argv[1]) > PATH - NAME || (strcmp(argv[3], "layers") != 0 && strcmp(argv[3], "one") != 0)) {
		fprintf(stderr, "usage: bigmodel DIR MEGABYTES layers|one\n");
		return 64;
	}
	char base[PATH], adapter[PATH];
	bool one = argv[3][0] == 'o';
	uint64_t bytes = strtoull(argv[2], NULL, 10) * 1000000, rows = bytes / (2 * WIDTH);
	int layers = one ? 1 : (int)(rows / WIDTH);
	snprintf(base, sizeof base, "%s/base", argv[1]);
	snprintf(adapter, sizeof adapter, "%s/adapter", argv[1]);
	if (mkdir(argv[1], 0777) < 0 || mkdir(base, 0777) < 0 || mkdir(adapter, 0777) < 0)
		fail(argv[1]);
	FILE *f = create(base, "config.json");
	fprintf(f, "{\"model_type\": \"llama\", \"tie_word_embeddings\": false}\n");
	finish(f);
	if (one)
		write_holes(base, "model.safetensors", -1, 1, rows);
	else
		write_shards(base, layers);
	write_adapter(adapter, one ? -1 : 0, layers, one ? rows : WIDTH);
	return 0;
}
