package http1

import (
	"bufio"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// UntilClose stands for a length that the end of the connection says.
const UntilClose int64 = -2

// Answer is the head of an answer. It is used again for the next one.
type Answer struct {
	Status  int
	Minor   int   // of the version: 0 or 1
	Length  int64 // of the body in bytes, Chunked or UntilClose, for methods and statuses that have one
	Header  List  // with all fields, those of the framing too
	Close   bool  // the connection ends with the answer
	Trailer string
}

// Parse reads a head that HeadEnd found. An error is ErrMalformed. It keeps
// parts of head. What services send is read with more patience where it is
// clear: that is for the caller.
func (a *Answer) Parse(head string) error {
	header := a.Header
	header.Reset()
	*a = Answer{Header: header, Length: UntilClose}
	if len(head) < 14 || head[:7] != "HTTP/1." || head[7] != '1' && head[7] != '0' || head[8] != ' ' ||
		!digit(head[9]) || !digit(head[10]) || !digit(head[11]) || head[12] != ' ' && head[12] != '\r' {
		return errStatusLine
	}
	a.Minor = int(head[7] - '0')
	a.Status = int(head[9]-'0')*100 + int(head[10]-'0')*10 + int(head[11]-'0')
	if a.Status < 100 {
		return errStatusLine
	}
	i := 12
	for i < len(head) && text[head[i]] {
		i++
	}
	if i+1 >= len(head) || head[i] != '\r' || head[i+1] != '\n' {
		return errStatusLine
	}
	if err := a.Header.fields(head[i+2:]); err != nil {
		return err
	}
	return a.frame()
}

func (a *Answer) frame() error {
	lengths, codings, announced := 0, 0, 0
	a.Close = a.Minor == 0
	for i := range a.Header.lines {
		at := &a.Header.lines[i]
		switch len(at.name) {
		case 7:
			if equal(at.name, "Trailer") {
				a.Trailer = at.value
				announced++
			}
		case 10:
			if !equal(at.name, "Connection") {
				continue
			}
			for option := range strings.SplitSeq(at.value, ",") {
				if option = strings.Trim(option, " \t"); equal(option, "close") {
					a.Close = true
				}
			}
		case 14:
			if equal(at.name, "Content-Length") {
				n, err := length(at.value)
				if err != nil {
					return err
				}
				a.Length = n
				lengths++
			}
		case 17:
			if equal(at.name, "Transfer-Encoding") {
				if !equal(at.value, "chunked") {
					return errCoding
				}
				codings++
			}
		}
	}
	switch {
	case lengths+codings > 1 || announced > 1 || codings == 1 && a.Minor == 0:
		return errFraming
	case codings == 1 && announcesFraming(a.Trailer):
		return errFraming
	case codings == 1:
		a.Length = Chunked
	}
	return nil
}

// announcesFraming reports whether a value of Trailer has a name that must not
// come behind a body, since it says where one ends (RFC 9110, section 6.5.1).
func announcesFraming(names string) bool {
	for name := range strings.SplitSeq(names, ",") {
		name = strings.Trim(name, " \t")
		if equal(name, "Content-Length") || equal(name, "Transfer-Encoding") || equal(name, "Trailer") {
			return true
		}
	}
	return false
}

// ParseLoosely reads a head as net/http does, which puts up with lines that end
// with a bare LF, folded fields, and lengths that are said twice. Services were
// always read so; what they send, greenroom writes anew. method is the
// request's.
func (a *Answer) ParseLoosely(head, method string) error {
	header := a.Header
	header.Reset()
	*a = Answer{Header: header, Length: UntilClose}
	resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(head)), &http.Request{Method: method})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if resp.StatusCode < 100 {
		return errStatusLine
	}
	a.Status, a.Minor, a.Close = resp.StatusCode, resp.ProtoMinor, true // it is no service to keep a connection to
	switch {
	case slices.Contains(resp.TransferEncoding, "chunked"):
		a.Length = Chunked
	case resp.ContentLength >= 0:
		a.Length = resp.ContentLength
	}
	a.Trailer = strings.Join(slices.Sorted(maps.Keys(resp.Trailer)), ", ")
	for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
		if !isToken(name) { // read, but not written, by net/http
			continue
		}
		for _, value := range resp.Header[name] {
			a.Header.Add(name, value)
		}
	}
	return nil
}
