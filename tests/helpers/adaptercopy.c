/* adaptercopy FROM TO: reads the adapter_config.json of one directory and writes it into another. */
#include <stdio.h>
#include <stdlib.h>

#include "fmt/adapter.h"

int
main(int argc, char **argv)
{
	struct err e;
	struct adapter_config c;
	if (argc != 3) {
		fprintf(stderr, "usage: adaptercopy FROM TO\n");
		return 2;
	}
	if (adapter_config_read(&c, argv[1], &e) < 0 || adapter_config_write(&c, argv[2], &e) < 0) {
		fprintf(stderr, "adaptercopy: %s\n", e.msg);
		return 1;
	}
	if (c.unknown)
		printf("unknown: %s\n", c.unknown);
	adapter_config_release(&c);
	return 0;
}
