# Completions for a shell out of what programs print with -h, so that options are written down once, in their tables:
#
#   { hone-pack -h; } | awk -v shell=bash|zsh|fish -v program=hone-pack -f tools/completions.awk
#
# Several -h one after the other are the options of one program. Options are lines "  -x, --name ARG   help", or
# without help when that stands on the next line.

/^ +(-[A-Za-z], )?--[a-z]/ {
	line = $0
	sub(/^ +/, "", line)
	letter = ""
	if (line ~ /^-[A-Za-z], /) {
		letter = substr(line, 2, 1)
		line = substr(line, 5)
	}
	help = ""
	if (match(line, /  +/)) {
		help = substr(line, RSTART + RLENGTH)
		line = substr(line, 1, RSTART - 1)
	}
	arg = line
	if (sub(/^[^ ]+ /, "", arg) == 0)
		arg = ""
	sub(/ .*/, "", line)
	name = substr(line, 3)
	if (!(name in seen)) {
		seen[name] = ++n
		names[n] = name; letters[n] = letter; args[n] = arg; helps[n] = help
	}
	current = help == "" ? seen[name] : 0
	next
}
/^ {30,}[^ ]/ && current {
	sub(/^ +/, "")
	helps[current] = $0
	current = 0
	next
}
{ current = 0 }

# What a value is: "words a b", "dir", "file", or "none" where only the user knows.
function kind(arg) {
	if (arg ~ /^[a-z0-9_-]+(\|[a-z0-9_-]+)+$/) {
		gsub(/\|/, " ", arg)
		return "words " arg
	}
	if (arg ~ /DIR|^MODEL|^RUN|^DATASET/)
		return "dir"
	return arg ~ /FILE|DATA|PREFIX/ ? "file" : "none"
}

function bash(   i, k, all, value) {
	for (i = 1; i <= n; i++) {
		all = all " --" names[i] (letters[i] == "" ? "" : " -" letters[i])
		k = kind(args[i])
		if (args[i] == "")
			continue
		if (k ~ /^words /)
			k = "mapfile -t COMPREPLY < <(compgen -W '" substr(k, 7) "' -- \"$word\")"
		else if (k == "none")
			k = ":"
		else
			k = "mapfile -t COMPREPLY < <(compgen -" (k == "dir" ? "d" : "f") " -- \"$word\")"
		value = value "\t" (letters[i] == "" ? "" : "-" letters[i] " | ") "--" names[i] ") " k "; return ;;\n"
	}
	f = "_" program
	gsub(/-/, "_", f)
	printf "%s() {\n\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n", f
	printf "\tcompopt -o filenames 2> /dev/null\n\tCOMPREPLY=()\n\tcase $before in\n%s\tesac\n", value
	printf "\tcase $word in\n\t-*) mapfile -t COMPREPLY < <(compgen -W '%s' -- \"$word\") ;;\n", substr(all, 2)
	printf "\t*) mapfile -t COMPREPLY < <(compgen -f -- \"$word\") ;;\n\tesac\n}\ncomplete -F %s %s\n", f, program
}

function quoted(text) {
	gsub(/'/, "'\\''", text)
	return "'" text "'"
}

function zsh(   i, k, spec, help, value) {
	printf "#compdef %s\n_arguments -s -S \\\n", program
	for (i = 1; i <= n; i++) {
		help = helps[i]
		gsub(/[\[\]:\\]/, "\\\\&", help)
		k = kind(args[i])
		value = args[i]
		gsub(/[\[\]:\\]/, "\\\\&", value)
		if (args[i] == "")
			value = ""
		else if (k ~ /^words /)
			value = ":value:(" substr(k, 7) ")"
		else
			value = ":" value ":" (k == "dir" ? "_files -/" : k == "file" ? "_files" : "")
		printf "\t%s \\\n", quoted("*--" names[i] (value == "" ? "" : "=") "[" help "]" value)
		if (letters[i] != "")
			printf "\t%s \\\n", quoted("*-" letters[i] (value == "" ? "" : "+") "[" help "]" value)
	}
	print "\t'*: :_files'"
}

function fish(   i, k, line) {
	for (i = 1; i <= n; i++) {
		k = kind(args[i])
		line = "complete -c " program " -l " names[i] (letters[i] == "" ? "" : " -s " letters[i])
		if (k ~ /^words /)
			line = line " -x -a " quoted(substr(k, 7))
		else if (args[i] != "")
			line = line (k == "dir" ? " -x -a '(__fish_complete_directories)'" : k == "file" ? " -r -F" : " -x")
		gsub(/\\/, "\\\\", helps[i])
		print line " -d " fish_quoted(helps[i])
	}
}

function fish_quoted(text) {
	gsub(/'/, "\\'", text)
	return "'" text "'"
}

# hone: its commands, then what each command completes by itself.
function commands(   list) {
	if (shell == "bash") {
		printf "_hone() {\n\tlocal command=${COMP_WORDS[1]} loader\n\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
		printf "\t\tmapfile -t COMPREPLY < <(compgen -W '%s --help --version' -- \"${COMP_WORDS[1]}\")\n\t\treturn\n\tfi\n", all_commands
		printf "\tCOMP_WORDS=(\"hone-$command\" \"${COMP_WORDS[@]:2}\")\n\tCOMP_CWORD=$((COMP_CWORD - 1))\n"
		printf "\tif ! declare -F \"_hone_$command\" > /dev/null; then\n"
		printf "\t\tfor loader in _comp_load _completion_loader __load_completion; do\n"
		printf "\t\t\tdeclare -F $loader > /dev/null && $loader \"hone-$command\" && break\n\t\tdone\n\tfi\n"
		printf "\tdeclare -F \"_hone_$command\" > /dev/null && \"_hone_$command\"\n}\ncomplete -F _hone hone\n"
	} else if (shell == "zsh") {
		printf "#compdef hone\nif (( CURRENT == 2 )); then\n\tcompadd %s -- --help --version\nelse\n", all_commands
		printf "\tlocal program=hone-$words[2]\n\tshift words\n\twords[1]=$program\n\t(( CURRENT-- ))\n\t_dispatch $program $program\nfi\n"
	} else {
		printf "complete -c hone -f -n __fish_use_subcommand -a '%s --help --version'\n", all_commands
		printf "complete -c hone -n 'not __fish_use_subcommand' -a '(set -l w (commandline -opc); complete -C \"hone-$w[2] \"(string join \" \" -- $w[3..-1] (commandline -ct)))'\n"
	}
}

program == "hone" && /^  [a-z]+ +[^ ]/ && $1 != "hone" { all_commands = all_commands (all_commands == "" ? "" : " ") $1 }

END {
	if (program == "hone")
		commands()
	else if (shell == "bash")
		bash()
	else if (shell == "zsh")
		zsh()
	else
		fish()
}
