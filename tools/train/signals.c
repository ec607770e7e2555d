/* Signals are noted here and acted on between steps. */
#include <signal.h>

#include "base/log.h"
#include "train.h"

static volatile sig_atomic_t stop_signal, save_signal;

static void
on_stop(int sig)
{
	stop_signal = sig;
}

static void
on_save(int sig)
{
	save_signal = sig;
}

void
signals_catch_save(void)
{
	struct sigaction save = {.sa_handler = on_save, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &save, NULL);
}

void
signals_catch_stop(void)
{
	struct sigaction stop = {.sa_handler = on_stop, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
	sigaction(SIGTERM, &stop, NULL);
	sigaction(SIGINT, &stop, NULL);
}

bool
signals_take_save(void)
{
	bool asked = save_signal;
	save_signal = 0;
	return asked;
}

bool
signals_stop(const struct run *r)
{
	return stop_signal || (r->deadline > 0 && clock_seconds() >= r->deadline);
}

const char *
signals_reason(void)
{
	return stop_signal == SIGINT ? "SIGINT" : stop_signal ? "SIGTERM" : "the deadline";
}
