/* usage: race [ANYTHING]
 *
 * Threads that wait for each other as OpenMP has it, and with an argument some that do not: `make tsan` holds itself
 * against this before it says of anything else that it is clean. */
#include <stdio.h>

enum { N = 4096 };

int
main(int argc, char **argv)
{
	int each[N], sum = 0, after = 0;
	(void)argv;
#pragma omp parallel num_threads(2)
	{
#pragma omp for schedule(dynamic, 8)
		for (int i = 0; i < N; i++)
			each[i] = i;
#pragma omp for reduction(+ : sum)
		for (int i = 0; i < N; i++)
			sum += each[N - 1 - i];
		if (argc > 1)
			after += each[0] + 1;
	}
	printf("%d %d\n", sum, after);
	return 0;
}
