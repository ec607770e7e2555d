#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "train.h"

static struct dataset *
open_one(struct run *r, const char *path, struct err *e)
{
	(void)r;
	return dataset_open(path, e);
}

int
data_open(struct run *r, struct err *e)
{
	r->train = open_one(r, r->set->train, e);
	if (!r->train)
		return -1;
	if (!r->set->valid)
		return 0;
	r->valid = open_one(r, r->set->valid, e);
	return r->valid ? 0 : -1;
}

static int
check_one(const struct run *r, const char *path, const struct dataset *d, struct err *e)
{
	if (dataset_count(d) == 0)
		return err_set(e, ERR_DATA, "'%s' has no examples", path);
	if (dataset_targets(d) == 0)
		return err_set(e, ERR_DATA, "'%s' has no targets to train on or to evaluate", path);
	if (dataset_vocab_size(d) > r->model.config.V)
		return err_set(e, ERR_DATA, "'%s' was made with a vocabulary of %lld, the model's has %d: tokenise it with this model",
			path, (long long)dataset_vocab_size(d), r->model.config.V);
	return 0;
}

int
data_check(const struct run *r, struct err *e)
{
	if (check_one(r, r->set->train, r->train, e) < 0 || (r->valid && check_one(r, r->set->valid, r->valid, e) < 0))
		return -1;
	return 0;
}
