// Package http1 reads the messages of HTTP/1.1 strictly, as RFC 9112 has them:
// heads, and bodies in chunks. What two servers could read in two ways is an
// error, not a guess.
//
// It owns the grammar, and the list of lines that a header is. It does no I/O
// and allocates little: what it returns are parts of what it was given. It
// imports nothing of ours but gateway/field.
//
// Start at Request.Parse.
package http1

import "errors"

// ErrMalformed is what every error of this package is: what came is no message
// of HTTP/1.1, or could be taken for another one.
var ErrMalformed = errors.New("malformed HTTP/1.1")

// malformed is an ErrMalformed with its reason.
type malformed string

// Error says what is wrong.
func (m malformed) Error() string { return "malformed HTTP/1.1: " + string(m) }

// Is makes it ErrMalformed.
func (m malformed) Is(target error) bool { return target == ErrMalformed }

const (
	errBareLF      = malformed("a line ends without CR (RFC 9112, section 2.2)")
	errBareCR      = malformed("a CR stands without LF (RFC 9112, section 2.2)")
	errRequestLine = malformed("the request line is not method, target and version (RFC 9112, section 3)")
	errTarget      = malformed("the target has a control character (RFC 9112, section 3.2)")
	errHost        = malformed("there is not one Host (RFC 9112, section 3.2)")
	errStatusLine  = malformed("the status line is none (RFC 9112, section 4)")
	errFieldName   = malformed("a field has no name, or a space in it (RFC 9112, section 5.1)")
	errFold        = malformed("a field is folded over lines (RFC 9112, section 5.2)")
	errFieldValue  = malformed("a field's value has a control character (RFC 9110, section 5.5)")
	errCoding      = malformed("the transfer coding is not chunked (RFC 9112, section 6.1)")
	errFraming     = malformed("the length is said in two ways (RFC 9112, section 6.3)")
	errLength      = malformed("Content-Length is no number (RFC 9112, section 6.3)")
	errChunkSize   = malformed("a chunk's size is no number (RFC 9112, section 7.1)")
	errChunkEnd    = malformed("a chunk does not end where its size says (RFC 9112, section 7.1)")
	errChunkExt    = malformed("a chunk's extension is too long, or has a control character (RFC 9112, section 7.1.1)")
	errChunkExcess = malformed("the chunks' sizes and extensions are far longer than their data (RFC 9112, section 7.1.1)")
	errTrailer     = malformed("the trailer section is too long (RFC 9112, section 7.1.2)")
)
