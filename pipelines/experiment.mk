# An experiment: data -> tokens -> datasets -> a run for every combination of settings -> figures -> the best one, merged.
# A project's Makefile sets what differs from the defaults below and includes this file; pipelines/example is one.
#
#   make            everything; prints the table, the best run first
#   make compare    hone-eval --compare of the runs, or of COMPARE="RUN RUN", whose differences are tested
#   make report     hone-report of the runs: $(WORK)/report.html
#   make clean      removes $(WORK)
#
# What a file is made of is known by content: options, the programs' versions, the data and the base model's files are
# written down in $(WORK)/stamp, and a stamp is renewed only when it would differ. So a change remakes what depends on it
# and nothing else, a file that was only touched remakes nothing, and a run that was stopped goes on at the next make.
# Names of files must have no spaces.

# The base model's directory, and the data (hone-tokenize(1)); of each there may be several files.
BASE     ?= base
TRAIN    ?= train.jsonl
VALID    ?= valid.jsonl
# Options of hone-tokenize, hone-pack, hone-train, hone-eval and hone-merge.
TOKENIZE ?=
PACK     ?=
TRAINING ?=
EVALUATE ?=
MERGE    ?=
# Settings to try, each option with its values: "lora-r:4:16 learning-rate:1e-3:4e-3" is four runs.
GRID     ?=
# The figure that decides, a key of hone-eval --json, and which of its values is the best.
METRIC   ?= classification/accuracy
BEST     ?= $(if $(filter %loss %perplexity %error,$(METRIC)),lowest,highest)
# More columns of the table.
COLUMNS  ?= loss token_accuracy classification/macro_f1_score
# Everything that is made goes here.
WORK     ?= work
# Threads of each program; 0 is all. No result depends on them.
THREADS  ?= 0
# Where the programs are: a directory with a slash behind it; empty is the PATH.
HONE     ?=

# ---- the grid: lora-r:4:16 learning-rate:1e-3 -> the runs lora-r-4+learning-rate-1e-3 and lora-r-16+learning-rate-1e-3 ----

empty    :=
space    := $(empty) $(empty)
values    = $(foreach v,$(wordlist 2,99,$(subst :, ,$1)),$(firstword $(subst :, ,$1)):$v)
point      = $(subst $(space),+,$(strip $1))
cross     = $(if $1,$(foreach v,$(call values,$(firstword $1)),\
            $(foreach rest,$(call cross,$(wordlist 2,99,$1)),$(call point,$v $(filter-out .,$(rest))))),.)
points   := $(call cross,$(strip $(GRID)))
name      = $(if $(filter .,$1),run,$(subst :,-,$1))
RUNS     := $(foreach p,$(points),$(call name,$p))
$(foreach p,$(points),$(eval settings_$(call name,$p) := $(foreach s,$(filter-out .,$(subst +, ,$p)),--$(subst :,=,$s))))

COMPARE  ?= $(RUNS)
stamp    := $(WORK)/stamp
runs     := $(WORK)/runs
train     = $(TRAIN)
valid     = $(VALID)

.PHONY: all table compare report clean FORCE
.DELETE_ON_ERROR:
.SECONDARY:
.SUFFIXES:
all: table $(WORK)/model/config.json

table: $(WORK)/metrics.tsv
	@awk -F '\t' '{ for (i = 1; i <= NF; i++) if ($$i ~ /^[0-9]*[.][0-9]+$$/) $$i = sprintf("%.4f", $$i) } \
		NR == FNR { for (i = 1; i <= NF; i++) if (length($$i) > width[i]) width[i] = length($$i); next } \
		{ for (i = 1; i < NF; i++) printf "%-*s", width[i] + 2, $$i; print $$NF }' $< $<

compare: $(COMPARE:%=$(runs)/%.json)
	$(HONE)hone-eval --compare $(COMPARE:%=$(runs)/%)

report: $(WORK)/report.html

$(WORK)/report.html: $(RUNS:%=$(runs)/%.trained) $(stamp)/options-RUNS $(stamp)/hone-report
	$(HONE)hone-report -q -f -o $@ $(RUNS:%=$(runs)/%)

clean:
	rm -rf $(WORK)

# ---- stamps ----

quote     = '$(subst ','\'',$1)'
renew     = if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(stamp)/options-%: FORCE
	@mkdir -p $(@D); printf '%s\n' $(call quote,$($*)) >$@.new; $(renew)

$(stamp)/settings-%: FORCE
	@mkdir -p $(@D); printf '%s\n' $(call quote,$(settings_$*)) >$@.new; $(renew)

# For a program that does not use BLAS, another processor is no other version.
$(stamp)/hone-%: FORCE
	@mkdir -p $(@D); $(HONE)hone-$* --version >$@.new && sed -i '/^kernels: bf16/d' $@.new && $(renew)

# The checksums of files; they are read again only when a name, a size or a time has changed.
sums      = mkdir -p $(@D); set -- $1; stat -L -c '%n %s %y' "$$@" >$@.stat.new || exit; \
            if [ -e $@ ] && cmp -s $@.stat.new $@.stat; then rm $@.stat.new; else \
            sha256sum "$$@" >$@.new && $(renew) && mv $@.stat.new $@.stat; fi
files     = $$(find -L $(BASE) -maxdepth 1 -type f ! -name '.*' $1 | LC_ALL=C sort)

$(stamp)/base: $(BASE)/config.json FORCE
	@$(call sums,$(call files))

$(stamp)/tokenizer: $(BASE)/config.json FORCE
	@$(call sums,$(call files,! -name '*.safetensors*'))

$(stamp)/train: $(TRAIN) FORCE
	@$(call sums,$(TRAIN))

$(stamp)/valid: $(VALID) FORCE
	@$(call sums,$(VALID))

# ---- data ----

$(WORK)/%.tokens: $(stamp)/% $(stamp)/tokenizer $(stamp)/options-TOKENIZE $(stamp)/hone-tokenize
	$(HONE)hone-tokenize -q -j $(THREADS) -m $(BASE) $(TOKENIZE) --force -o $@ $($*)

$(WORK)/train/dataset.json $(WORK)/valid/dataset.json: \
$(WORK)/%/dataset.json: $(WORK)/%.tokens $(stamp)/options-PACK $(stamp)/hone-pack
	$(HONE)hone-pack -q $(PACK) --force -o $(@D) $<

# ---- runs ----

# A run that was stopped goes on when it is of the same things; one of other things is begun anew.
$(runs)/%.trained: $(WORK)/train/dataset.json $(WORK)/valid/dataset.json $(stamp)/base $(stamp)/options-TRAINING \
	$(stamp)/settings-% $(stamp)/hone-train
	@mkdir -p $(@D); cat $^ >$(runs)/$*.made-of.new
	@cmp -s $(runs)/$*.made-of.new $(runs)/$*.made-of || rm -rf $(runs)/$*
	@mv $(runs)/$*.made-of.new $(runs)/$*.made-of
	$(HONE)hone-train -q -j $(THREADS) -m $(BASE) -t $(WORK)/train -v $(WORK)/valid $(TRAINING) $(settings_$*) -o $(runs)/$*
	@touch $@

# The final directory is an adapter, or after --method full a model.
adapter   = [ -e $1/final/adapter_config.json ]

$(runs)/%.json: $(runs)/%.trained $(stamp)/options-EVALUATE $(stamp)/hone-eval
	@if $(call adapter,$(runs)/$*); then set -- -m $(BASE) -a $(runs)/$*/final; else set -- -m $(runs)/$*/final; fi; \
	set -x; $(HONE)hone-eval -q -j $(THREADS) "$$@" --json $(EVALUATE) $(WORK)/valid >$@

# ---- the table, the best, the model ----

define newline


endef

define table_jq
($$columns | split(" ")) as $$columns
| [inputs | {run: (input_filename | sub(".*/"; "") | rtrimstr(".json")), figures: .}]
| if all(.[]; .figures[$$metric] | type != "number") then error("no run has a figure \($$metric)") else . end
| map(select(.figures[$$metric] | type == "number"))
| sort_by(.figures[$$metric] * if $$best == "lowest" then 1 else -1 end)
| (["run", $$metric] + $$columns), (.[] | [.run, .figures[$$metric]] + [.figures[$$columns[]]])
| @tsv
endef

$(WORK)/metrics.tsv: $(RUNS:%=$(runs)/%.json) $(stamp)/options-METRIC $(stamp)/options-BEST $(stamp)/options-COLUMNS \
	$(stamp)/options-RUNS
	@jq -rn --arg metric $(METRIC) --arg best $(BEST) --arg columns $(call quote,$(COLUMNS)) \
		$(call quote,$(subst $(newline), ,$(table_jq))) $(filter %.json,$^) >$@

# The best run's name, and what it is: the model is made again when another run is the best, or this one has changed.
$(WORK)/best: $(WORK)/metrics.tsv
	@run=$$(sed -n '2s/	.*//p' $<); { echo "$$run"; cat $(runs)/$$run.made-of; } >$@.new && $(renew)

$(WORK)/model/config.json: $(WORK)/best $(stamp)/options-MERGE $(stamp)/hone-merge
	@run=$(runs)/$$(head -n 1 $<); rm -rf $(@D); \
	if $(call adapter,$$run); then set -- $(HONE)hone-merge -q -j $(THREADS) $(MERGE) -m $(BASE) -a $$run/final -o $(@D); \
	else set -- cp -r $$run/final $(@D); fi; set -x; "$$@"
	@touch $@
