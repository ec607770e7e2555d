# Puts a hash of every line in front of it: sorted by it, the lines come in an order that looks random and is always
# the same.

BEGIN {
	for (i = 1; i < 256; i++)
		byte[sprintf("%c", i)] = i
}

{
	h = 0
	for (i = 1; i <= length($0); i++)
		h = (h * 31 + byte[substr($0, i, 1)]) % 2147483647
	printf "%010d\t%s\n", h * 48271 % 2147483647, $0
}
