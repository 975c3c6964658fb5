package http1

import "strings"

// Chunked stands for a length that chunks say.
const Chunked int64 = -1

// Request is the head of a request. It is used again for the next one.
type Request struct {
	Method string
	Target string
	Host   string
	Minor  int   // of the version: 0 or 1
	Length int64 // of the body in bytes, or Chunked; 0 for none
	Header List  // with all fields, Host and those of the framing too

	HasLength bool // Content-Length was there
	Close     bool // the client wants the connection closed
	Upgrade   bool // it wants to change the protocol
	Expect    bool // an Expect is there
	Trailer   bool // trailers are announced
	Fields    int  // how many there are beside Host, Transfer-Encoding and Trailer
}

// Parse reads a head that HeadEnd found. An error is ErrMalformed. It keeps
// parts of head. A version that is not 1.0 or 1.1 leaves Minor -1, and nothing
// more is read then.
func (r *Request) Parse(head string) error {
	header := r.Header
	header.Reset()
	*r = Request{Header: header}
	rest, err := r.line(head)
	if err != nil || r.Minor < 0 {
		return err
	}
	if err := r.Header.fields(rest); err != nil {
		return err
	}
	return r.frame()
}

// line reads the request line, and returns what is behind it.
func (r *Request) line(head string) (rest string, err error) {
	i := 0
	for i < len(head) && token[head[i]] {
		i++
	}
	if i == 0 || i == len(head) || head[i] != ' ' {
		return "", errRequestLine
	}
	r.Method = head[:i]
	from := i + 1
	for i = from; i < len(head) && head[i] > ' ' && head[i] != 0x7f; i++ {
	}
	if i == from || i == len(head) {
		return "", errRequestLine
	}
	if head[i] != ' ' {
		return "", errTarget
	}
	r.Target = head[from:i]
	version, rest, ok := strings.Cut(head[i+1:], "\r\n")
	switch {
	case !ok:
		return "", errRequestLine
	case version == "HTTP/1.1":
		r.Minor = 1
	case version == "HTTP/1.0":
		r.Minor = 0
	case len(version) == 8 && version[:5] == "HTTP/" && digit(version[5]) && version[6] == '.' && digit(version[7]):
		r.Minor = -1
	default:
		return "", errRequestLine
	}
	return rest, nil
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// frame finds out what the fields say of the message and its connection.
func (r *Request) frame() error {
	hosts, codings, connections := 0, 0, 0
	r.Close = r.Minor == 0
	r.Fields = len(r.Header.lines)
	for i := range r.Header.lines {
		at := &r.Header.lines[i]
		switch len(at.name) {
		case 4:
			if equal(at.name, "Host") {
				r.Host = at.value
				hosts++
				r.Fields--
			}
		case 6:
			r.Expect = r.Expect || equal(at.name, "Expect")
		case 7:
			r.Upgrade = r.Upgrade || equal(at.name, "Upgrade")
			if equal(at.name, "Trailer") {
				r.Trailer = true
				r.Fields--
			}
		case 10:
			if equal(at.name, "Connection") {
				r.connection(at.value, connections == 0)
				connections++
			}
		case 14:
			if equal(at.name, "Content-Length") {
				n, err := length(at.value)
				if err != nil {
					return err
				}
				if r.HasLength {
					return errFraming
				}
				r.Length, r.HasLength = n, true
			}
		case 17:
			if equal(at.name, "Transfer-Encoding") {
				if !equal(at.value, "chunked") {
					return errCoding
				}
				codings++
				r.Fields--
			}
		}
	}
	switch {
	case hosts > 1 || hosts == 0 && r.Minor == 1:
		return errHost
	case codings > 1:
		return errCoding
	case codings == 1 && (r.HasLength || r.Minor == 0):
		return errFraming
	case codings == 1:
		r.Length = Chunked
	}
	return nil
}

// connection reads the options of a Connection field. In the first one, net/http
// takes what stands between blanks for options, too; a connection that is closed
// to be sure does no harm.
func (r *Request) connection(value string, first bool) {
	for option := range strings.SplitSeq(value, ",") {
		switch option = strings.Trim(option, " \t"); {
		case equal(option, "close"), first && closesBetweenBlanks(option):
			r.Close = true
		case equal(option, "upgrade"):
			r.Upgrade = true
		}
	}
}

func closesBetweenBlanks(option string) bool {
	for word := range strings.FieldsFuncSeq(option, isBlank) {
		if equal(word, "close") {
			return true
		}
	}
	return false
}

func isBlank(r rune) bool { return r == ' ' || r == '\t' }
