package http1

import "bytes"

// HeadEnd returns the offset behind a head that b begins with, 0 for a head of
// which more must come. from is what b was long when it was looked at before.
// It fails on a line that ends with a bare LF, since the head's end would be
// somebody's guess.
func HeadEnd(b []byte, from int) (end int, err error) {
	at := max(0, from-1)
	for {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return 0, nil
		}
		at += i
		if at == 0 || b[at-1] != '\r' {
			return 0, errBareLF
		}
		if at == 1 || at >= 3 && b[at-2] == '\n' {
			return at + 1, nil
		}
		at++
	}
}

// fields reads the lines behind the first of a head, up to its empty line.
func (l *List) fields(s string) error {
	for {
		if len(s) >= 2 && s[0] == '\r' && s[1] == '\n' {
			return nil
		}
		colon := 0
		for colon < len(s) && token[s[colon]] {
			colon++
		}
		if colon == len(s) || colon == 0 || s[colon] != ':' {
			if colon == 0 && len(s) > 0 && (s[0] == ' ' || s[0] == '\t') {
				return errFold
			}
			return errFieldName
		}
		from := colon + 1
		for from < len(s) && (s[from] == ' ' || s[from] == '\t') {
			from++
		}
		end := from
		for end < len(s) && text[s[end]] {
			end++
		}
		if end+1 >= len(s) || s[end] != '\r' {
			return errFieldValue
		}
		if s[end+1] != '\n' {
			return errBareCR
		}
		next := end + 2
		for end > from && (s[end-1] == ' ' || s[end-1] == '\t') {
			end--
		}
		l.add(s[:colon], s[from:end], s[:next])
		s = s[next:]
	}
}

// token are the bytes of a token (RFC 9110, section 5.6.2).
var token = table(func(c int) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c < 0x80 && c > ' ' && bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), byte(c)) >= 0
})

// isToken reports whether s can be a field's name.
func isToken(s string) bool {
	for i := range len(s) {
		if !token[s[i]] {
			return false
		}
	}
	return s != ""
}

// text are the bytes of a field's value (RFC 9110, section 5.5): what is
// visible, what is beyond ASCII, spaces and tabs.
var text = table(func(c int) bool { return c >= ' ' && c != 0x7f || c == '\t' })

func table(in func(c int) bool) (t [256]bool) {
	for c := range t {
		t[c] = in(c)
	}
	return t
}

// length reads a Content-Length: digits alone, and not too many.
func length(s string) (int64, error) {
	if s == "" || len(s) > 18 {
		return 0, errLength
	}
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, errLength
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, nil
}
