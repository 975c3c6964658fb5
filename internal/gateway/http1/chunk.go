package http1

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"net/textproto"
	"slices"
)

// Bounds on what stands around the data of chunks, in bytes.
const (
	maxChunkLine = 4<<10 - 1 // a size with its extension, up to its LF
	maxTrailers  = 4 << 10

	// Of the sizes' lines together, what goes beyond twice the data and
	// perChunk for each: so that what costs much to read must bring something.
	maxExcess = 16 << 10
	perChunk  = 16
)

// Chunks reads a body in chunks from the pieces in which it comes. The zero
// value begins one of a client.
type Chunks struct {
	// Loose is for what services send: it is read as net/http reads it where the
	// strict reading fails, for the reasons that ParseLoosely has.
	Loose bool

	state   state
	left    int64 // of the chunk's data
	digits  int
	excess  int64
	line    int    // bytes of the size's line or of the trailer section so far
	trailer []byte // the section as it came, with its empty line
}

type state uint8

const (
	size   state = iota // before or in a size
	ext                 // in an extension
	blanks              // behind a size, where Loose
	sizeLF
	data
	dataCR
	dataLF
	trailers
	over
)

// Next reads from b. It returns the data that b begins with, if any, and how
// many bytes of b are dealt with; no data and all of b dealt with means that
// more must come. When the body has ended, it deals with nothing more.
func (c *Chunks) Next(b []byte) (piece []byte, n int, err error) {
	for n < len(b) && c.state != over {
		if c.state == data {
			take := int64(len(b) - n)
			if take > c.left {
				take = c.left
			}
			piece = b[n : n+int(take)]
			if c.left -= take; c.left == 0 {
				c.state = dataCR
			}
			return piece, n + int(take), nil
		}
		if c.state == trailers {
			used, err := c.trail(b[n:])
			return nil, n + used, err
		}
		if err := c.step(b[n]); err != nil {
			return nil, n, err
		}
		n++
	}
	return nil, n, nil
}

// step reads one byte of what stands around the data.
func (c *Chunks) step(b byte) error {
	switch c.state {
	case size, ext, blanks:
		if c.line++; c.line > maxChunkLine {
			return errChunkExt
		}
		return c.sizeLine(b)
	case sizeLF:
		if b != '\n' {
			return errBareCR
		}
		if c.excess = max(0, c.excess+int64(c.line)+1-perChunk-2*min(c.left, maxExcess)); c.excess > maxExcess {
			return errChunkExcess
		}
		c.state, c.line, c.digits = data, 0, 0
		if c.left == 0 {
			c.state = trailers
		}
	case dataCR:
		if b != '\r' {
			return errChunkEnd
		}
		c.state = dataLF
	case dataLF:
		if b != '\n' {
			return errChunkEnd
		}
		c.state = size
	}
	return nil
}

func (c *Chunks) sizeLine(b byte) error {
	switch {
	case b == '\r':
		if c.digits == 0 {
			return errChunkSize
		}
		c.state = sizeLF
	case c.state == ext:
		if !text[b] {
			return errChunkExt
		}
	case c.Loose && c.digits > 0 && (b == ' ' || b == '\t'):
		c.state = blanks
	case c.state == blanks:
		return errChunkSize
	case b == ';':
		if c.digits == 0 {
			return errChunkSize
		}
		c.state = ext
	default:
		d := hex(b)
		if c.digits++; d < 0 || c.digits > 16 || c.left >= 1<<58 {
			return errChunkSize
		}
		c.left = c.left<<4 | int64(d)
	}
	return nil
}

func hex(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b && b <= 'f':
		return int(b-'a') + 10
	case 'A' <= b && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}

// trail collects the trailer section, and returns how many bytes of b are its.
func (c *Chunks) trail(b []byte) (int, error) {
	if c.Loose {
		return c.trailLoosely(b)
	}
	before := len(c.trailer)
	for used := 0; ; {
		i := bytes.IndexByte(b[used:], '\n')
		if i < 0 {
			c.trailer = append(c.trailer, b[used:]...)
			if len(c.trailer) > maxTrailers {
				return 0, errTrailer
			}
			return len(b), nil
		}
		c.trailer = append(c.trailer, b[used:used+i+1]...)
		used += i + 1
		n := len(c.trailer)
		switch {
		case n > maxTrailers:
			return 0, errTrailer
		case n < 2 || c.trailer[n-2] != '\r':
			return 0, errBareLF
		case n == 2 || n >= 4 && c.trailer[n-3] == '\n':
			c.state = over
			if before == 0 && n == 2 {
				c.trailer = c.trailer[:0]
			}
			return used, nil
		}
	}
}

// trailLoosely is trail, where a line may end with a bare LF.
func (c *Chunks) trailLoosely(b []byte) (int, error) {
	before := len(c.trailer)
	c.trailer = append(c.trailer, b...)
	end := 2
	if !bytes.HasPrefix(c.trailer, []byte("\r\n")) {
		if end = bytes.Index(c.trailer, []byte("\r\n\r\n")) + 4; end < 4 {
			end = len(c.trailer) + 1 // not there yet
		}
	}
	switch {
	case min(end, len(c.trailer)) > maxTrailers:
		return 0, errTrailer
	case end > len(c.trailer):
		return len(b), nil
	}
	c.trailer, c.state = c.trailer[:end], over
	return end - before, nil
}

// Over reports whether the body has ended.
func (c *Chunks) Over() bool { return c.state == over }

// Trailers reads the trailer section into l, when the body has ended.
func (c *Chunks) Trailers(l *List) error {
	l.Reset()
	if len(c.trailer) == 0 {
		return nil
	}
	err := l.fields(string(c.trailer))
	if err != nil && c.Loose {
		l.Reset()
		return l.fieldsLoosely(c.trailer)
	}
	return err
}

// fieldsLoosely reads lines as net/http does, which puts up with folded fields,
// and leaves out what has no name that can be sent on.
func (l *List) fieldsLoosely(lines []byte) error {
	h, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(lines))).ReadMIMEHeader()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		if !isToken(name) {
			continue
		}
		for _, value := range h[name] {
			l.Add(name, value)
		}
	}
	return nil
}

// Reset begins another body.
func (c *Chunks) Reset() { *c = Chunks{Loose: c.Loose, trailer: c.trailer[:0]} }

// AppendChunk appends data as one chunk; none at all for no data.
func AppendChunk(b, data []byte) []byte {
	if len(data) == 0 {
		return b
	}
	b = AppendSize(b, len(data))
	b = append(b, data...)
	return append(b, '\r', '\n')
}

// AppendSize appends the line that stands before the data of a chunk.
func AppendSize(b []byte, n int) []byte {
	const digits = "0123456789abcdef"
	shift := 0
	for n>>shift > 15 {
		shift += 4
	}
	for ; shift >= 0; shift -= 4 {
		b = append(b, digits[n>>shift&15])
	}
	return append(b, '\r', '\n')
}
