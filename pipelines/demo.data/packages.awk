# From Debian's package database (stanzas of "Field: value" lines) to lines "section<TAB>synopsis<TAB>name".
# Packages of one source often share a synopsis but for its end, "... (documentation)" or "... - headers"; only the
# first is kept, so that no validation row has a twin among the training rows.

/^Package:/ { name = $2 }
/^Section:/ { section = $2; sub(/.*\//, "", section) }
/^Description(-en)?:/ { synopsis = $0; sub(/^[^:]*:[ \t]*/, "", synopsis); gsub(/\t/, " ", synopsis) }
/^$/ { row() }
END { row() }

function row(   key) {
	key = tolower(synopsis)
	sub(/ *[([].*/, "", key)
	sub(/ *(-|--|:) .*/, "", key)
	if (section != "" && key != "" && !(key in seen)) {
		seen[key]
		print section "\t" synopsis "\t" name
	}
	section = synopsis = name = ""
}
