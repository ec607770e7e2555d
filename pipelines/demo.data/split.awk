# Splits lines "label<TAB>text" for the demonstration, the same number of every label:
#
#   awk -v out=DIR -v labels="games net ..." -v classes=8 -v train=450 -v valid=50 -f split.awk rows rows
#
# (the file twice: it is counted first). Of `labels`, the first `classes` that have enough rows are taken; without
# `labels`, all there are. DIR/valid.tsv, train.tsv and unseen.tsv (one row a label) get the rows in this order,
# DIR/text.tsv every row that is in neither valid.tsv nor unseen.tsv, whatever its label. Status 1: not enough rows.

BEGIN { FS = "\t"; least = valid + 60 }

NR == FNR { rows[$1]++; next }

FNR == 1 { choose() }

{
	n = ++seen[$1]
	if (!($1 in chosen) || n > valid + 1 + train)
		file = ""
	else
		file = n <= valid ? "valid" : n == valid + 1 ? "unseen" : "train"
	if (file)
		print > (out "/" file ".tsv")
	if (file == "" || file == "train")
		print > (out "/text.tsv")
}

END { exit found < 4 }

function choose(   n, i, list) {
	if (labels == "")
		for (i in rows)
			labels = labels " " i
	n = split(labels, list, " ")
	for (i = 1; i <= n && found < classes; i++)
		if (rows[list[i]] >= least) {
			chosen[list[i]]
			found++
			if (rows[list[i]] - valid - 1 < train)
				train = rows[list[i]] - valid - 1
		}
	if (found < 4)
		exit 1
}
